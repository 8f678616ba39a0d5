{{- define "realtime.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "realtime.selector" -}}
app.kubernetes.io/name: realtime
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "realtime.labels" -}}
{{ include "realtime.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "realtime.clustered" -}}
{{- if or .Values.cluster.url .Values.cluster.existingSecret -}}yes{{- end -}}
{{- end -}}
