/** The types of the wire, from the server's OpenAPI document by scripts/js_types.py. Do not edit. */

/** More tools. From here on the model has them. */
export interface AdditionalTools {
  type: "additional_tools";
  tools: Record<string, unknown>[];
  role?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The body of every refusal, and the event of a stream that fails. */
export interface AnthropicError {
  type: "error";
  error: AnthropicErrorBody;
  request_id?: string;
}

/** An error. `code`, `param` and `retry` are ours, the same as at the other doors. */
export interface AnthropicErrorBody {
  type: string;
  message: string;
  code: string;
  param: string | null;
  retry: boolean;
}

/** A response as a message; `id` is the response's. */
export interface AnthropicMessage {
  id: string;
  type: "message";
  role: "assistant";
  model: string;
  content: (SaidText | SaidToolUse | SaidThinking)[];
  stop_reason: "end_turn" | "max_tokens" | "model_context_window_exceeded" | "stop_sequence" | "tool_use" | null;
  stop_sequence: string | null;
  usage: MessageUsage;
}

export interface ApplyPatchCall {
  type: "apply_patch_call";
  call_id: string;
  operation: CreateFile | UpdateFile | DeleteFile;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The result of a patch. `status`: whether it could be applied (`completed`, `failed`). `output`: a text about it. */
export interface ApplyPatchCallOutput {
  type: "apply_patch_call_output";
  call_id: string;
  output?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** An assistant's message. `reasoning_content`, or `reasoning`: what an earlier answer had under this name. */
export interface AssistantMessage {
  role: "assistant";
  content?: string | (TextPart | RefusalPart | ImagePart | FilePart | AudioPart)[] | null;
  refusal?: string | null;
  tool_calls?: MessageToolCall[] | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  function_call?: unknown;
  audio?: unknown;
}

export interface AssistantParam {
  role: "assistant";
  content: string | (TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock)[];
}

/** An audio part, which is refused by name. */
export interface AudioPart {
  type: "input_audio";
}

export interface Author {
  role: "assistant" | "developer" | "system" | "tool" | "user";
  name?: string | null;
}

export interface Base64Source {
  type: "base64";
  media_type: string;
  data: string;
}

export interface CalledCustomTool {
  name: string;
  input: string;
}

export interface CalledFunction {
  name: string;
  arguments: string;
}

/** The receipt of a cancel: how much had been generated and sent, and how long the engine took to abort. */
export interface CancelReceipt {
  tokens_generated: number;
  tokens_delivered: number;
  abort_ms: number;
  through?: number;
}

/** The channels that the system message names. */
export interface ChannelConfig {
  valid_channels: string[];
  channel_required?: boolean;
}

/** A response as a chat completion; `id` is the response's. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: CompletionChoice[];
  usage: CompletionUsage | null;
  service_tier: string;
}

/** One event of a stream. `usage`: in the last one, if the request asked for it; null before. */
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  service_tier: string;
  choices: ChunkChoice[];
  usage?: CompletionUsage | null;
}

/** One JSON object. */
export interface ChatJsonObject {
  type: "json_object";
}

export interface ChatJsonSchema {
  type: "json_schema";
  json_schema: JsonSchemaFormat;
}

/** Free text. */
export interface ChatText {
  type: "text";
}

export interface ChoiceLogprobs {
  content: unknown[];
  refusal: null;
}

export interface ChunkChoice {
  index: number;
  delta: ChunkDelta;
  logprobs: ChoiceLogprobs | null;
  finish_reason: "content_filter" | "length" | "stop" | "tool_calls" | null;
}

/** More of the message. */
export interface ChunkDelta {
  role?: "assistant";
  content?: string;
  reasoning_content?: string;
  tool_calls?: ToolCallDelta[];
}

export interface CodeInterpreterCall {
  type: "code_interpreter_call";
  code?: unknown;
  container_id?: unknown;
  outputs?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The history that is to be made shorter: `input`, after a previous response if one is named. */
export interface CompactResponse {
  input?: string | (Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput)[] | null;
  model: string;
  instructions?: string | null;
  previous_response_id?: string | null;
  prompt_cache_key?: string | null;
  service_tier?: string | null;
}

/** The answer of `POST /v1/responses/compact`: `output` is the `input` of a new chain. */
export interface CompactedResponse {
  id: string;
  object: "response.compaction";
  created_at: number;
  output: (Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction)[];
  usage: Usage;
}

/** The remains of a conversation that was made shorter. */
export interface Compaction {
  type: "compaction";
  encrypted_content: string;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** A summary is being written; its text is not shown. */
export interface CompactionCompacting {
  type: "response.compaction.compacting";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** A request to make the items before it shorter; the last item of an input. */
export interface CompactionTrigger {
  type: "compaction_trigger";
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface CompletionChoice {
  index: number;
  message: CompletionMessage;
  logprobs: ChoiceLogprobs | null;
  finish_reason: "content_filter" | "length" | "stop" | "tool_calls";
}

/** The model's message. `reasoning_content`: as far as the reasoning policy shows it; absent if there is none. */
export interface CompletionMessage {
  role: "assistant";
  content: string | null;
  refusal: null;
  reasoning_content?: string;
  tool_calls?: (FunctionToolCall | CustomToolCallSaid)[];
}

export interface CompletionTokensDetails {
  reasoning_tokens: number;
}

/** Tokens of one completion; `completion_tokens` includes reasoning. */
export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: PromptTokensDetails;
  completion_tokens_details: CompletionTokensDetails;
}

export interface ComputerCall {
  type: "computer_call";
  call_id?: unknown;
  action?: unknown;
  actions?: unknown;
  pending_safety_checks?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface ComputerCallOutput {
  type: "computer_call_output";
  call_id?: unknown;
  output?: unknown;
  acknowledged_safety_checks?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** Other settings from here on, until a later update replaces them. */
export interface ConfigurationUpdate {
  type: "configuration_update";
  reasoning?: ReasoningUpdate | null;
  text?: TextUpdate | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface ContentPartAdded {
  type: "response.content_part.added";
  item_id: string;
  output_index: number;
  content_index: number;
  part: OutputText | Refusal | ReasoningText;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ContentPartDone {
  type: "response.content_part.done";
  item_id: string;
  output_index: number;
  content_index: number;
  part: OutputText | Refusal | ReasoningText;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ContentSource {
  type: "content";
  content: string | TextBlock[];
}

/** The action when the context grows. `compact_threshold`: in tokens; absent: near the end of the window. */
export interface ContextManagement {
  type: "compaction";
  compact_threshold?: number | null;
}

/** The receipt of a conversation that was deleted. */
export interface ConversationDeleted {
  id: string;
  object: "conversation.deleted";
  deleted: boolean;
}

/** Body of `POST /v1/conversations/{id}/fork`. `item_id`: the last item of the new conversation; absent: it gets all items. */
export interface ConversationFork {
  item_id?: string | null;
}

/** A page of the items of a conversation. */
export interface ConversationItems {
  object: "list";
  data: ((Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput) & (ItemOrigin))[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** A page of conversations. */
export interface ConversationList {
  object: "list";
  data: ConversationObject[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** A conversation as clients see it. */
export interface ConversationObject {
  id: string;
  object: "conversation";
  created_at: number;
  metadata: Record<string, string>;
  running_responses?: string[];
}

/** The conversation that a response belongs to. */
export interface ConversationRef {
  id: string;
}

/** Body of `POST /v1/conversations/{id}`. Metadata is replaced as a whole; null empties it. */
export interface ConversationUpdate {
  metadata: Record<string, string> | null;
}

/** The members that make up a prompt. Further members are ignored. */
export interface CountMessageTokens {
  model: string;
  messages: (UserParam | AssistantParam | SystemParam)[];
  system?: string | TextBlock[] | null;
  tools?: ToolParam[] | null;
  tool_choice?: ToolChoiceParam | null;
  thinking?: ThinkingParam | null;
  output_config?: OutputConfig | null;
  mcp_servers?: unknown;
  container?: unknown;
  context_management?: unknown;
}

/** The body of a request for a chat completion. Further members are ignored. */
export interface CreateChatCompletion {
  messages: (SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage)[];
  model?: string | null;
  frequency_penalty?: number | null;
  logit_bias?: Record<string, number> | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  max_completion_tokens?: number | null;
  max_tokens?: number | null;
  metadata?: Record<string, string> | null;
  n?: number | null;
  parallel_tool_calls?: boolean | null;
  presence_penalty?: number | null;
  prompt_cache_key?: string | null;
  prompt_cache_retention?: string | null;
  reasoning_effort?: "high" | "low" | "max" | "medium" | "minimal" | "none" | "xhigh" | null;
  response_format?: ChatText | ChatJsonObject | ChatJsonSchema | null;
  safety_identifier?: string | null;
  seed?: number | null;
  service_tier?: string | null;
  stop?: string | string[] | null;
  store?: boolean | null;
  stream?: boolean | null;
  stream_options?: StreamOptions | null;
  temperature?: number | null;
  tool_choice?: string | Record<string, unknown> | null;
  tools?: Record<string, unknown>[] | null;
  top_p?: number | null;
  user?: string | null;
  verbosity?: "high" | "low" | "medium" | null;
  functions?: unknown;
  function_call?: unknown;
  audio?: unknown;
  modalities?: string[] | null;
  web_search_options?: unknown;
  moderation?: unknown;
  chat_template_kwargs?: Record<string, boolean | number | string | null> | null;
  cache_salt?: string | null;
  ignore_eos?: boolean | null;
  include_reasoning?: boolean | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  stop_token_ids?: number[] | null;
  top_k?: number | null;
  continue_final_message?: boolean | null;
  structured_outputs?: unknown;
}

/** What a new conversation begins with: up to 20 items. */
export interface CreateConversation {
  items?: (Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput)[] | null;
  metadata?: Record<string, string> | null;
}

export interface CreateFile {
  type: "create_file";
  path: string;
  diff: string;
}

/** Up to 20 items to append to a conversation. */
export interface CreateItems {
  items: (Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput)[];
}

/** The body of a request for a message. Further members are ignored. */
export interface CreateMessage {
  model: string;
  messages: (UserParam | AssistantParam | SystemParam)[];
  system?: string | TextBlock[] | null;
  tools?: ToolParam[] | null;
  tool_choice?: ToolChoiceParam | null;
  thinking?: ThinkingParam | null;
  output_config?: OutputConfig | null;
  mcp_servers?: unknown;
  container?: unknown;
  context_management?: unknown;
  max_tokens: number;
  metadata?: MessageMetadata | null;
  service_tier?: "auto" | "standard_only" | null;
  stop_sequences?: string[] | null;
  stream?: boolean | null;
  temperature?: number | null;
  top_k?: number | null;
  top_p?: number | null;
}

/** What a create may say; further members are ignored. */
export interface CreateResponse {
  input?: string | (Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput | EasyMessage)[] | null;
  stream?: boolean | null;
  model?: string | null;
  instructions?: string | null;
  previous_response_id?: string | null;
  store?: boolean | null;
  max_output_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  top_logprobs?: number | null;
  text?: TextOptions | null;
  reasoning?: ReasoningOptions | null;
  tools?: Record<string, unknown>[] | null;
  tool_choice?: string | Record<string, unknown> | null;
  parallel_tool_calls?: boolean | null;
  max_tool_calls?: number | null;
  truncation?: "auto" | "disabled" | null;
  include?: string[] | null;
  metadata?: Record<string, string> | null;
  user?: string | null;
  safety_identifier?: string | null;
  prompt_cache_key?: string | null;
  prompt_cache_retention?: string | null;
  prompt_cache_options?: PromptCacheOptions | null;
  service_tier?: string | null;
  background?: boolean | null;
  conversation?: string | ConversationRef | null;
  context_management?: ContextManagement[] | null;
  prompt?: unknown;
  moderation?: unknown;
  stream_options?: unknown;
  generate?: boolean | null;
  top_k?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  stop_token_ids?: number[] | null;
  logit_bias?: Record<string, number> | null;
  ignore_eos?: boolean | null;
  cache_salt?: string | null;
  chat_template_kwargs?: Record<string, boolean | number | string | null> | null;
  allow_missing_outputs?: boolean | null;
  request_id?: string | null;
  on_disconnect?: OnDisconnect | null;
  max_queue_seconds?: number | null;
  previous_input_messages?: HarmonyMessage[] | null;
}

export interface CustomToolCall {
  type: "custom_tool_call";
  call_id: string;
  name: string;
  input: string;
  namespace?: string | null;
  channel?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface CustomToolCallInputDelta {
  type: "response.custom_tool_call_input.delta";
  item_id: string;
  output_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface CustomToolCallInputDone {
  type: "response.custom_tool_call_input.done";
  item_id: string;
  output_index: number;
  input: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface CustomToolCallOutput {
  type: "custom_tool_call_output";
  call_id: string;
  output: string | (InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText)[];
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface CustomToolCallSaid {
  type: "custom";
  id: string;
  custom: SaidCustomTool;
}

export interface CustomToolDelta {
  name?: string;
  input: string;
}

export interface DeleteFile {
  type: "delete_file";
  path: string;
}

/** Instructions and tools. */
export interface DeveloperContent {
  type: "developer_content";
  instructions?: string | null;
  tools?: Record<string, HarmonyNamespace> | null;
}

export interface DeveloperMessage {
  role: "developer";
  content: string | (TextPart | RefusalPart | ImagePart | FilePart | AudioPart)[];
}

export interface DocumentBlock {
  type: "document";
  source: Base64Source | UrlSource | FileSource | TextSource | ContentSource;
  title?: string | null;
}

/** A message without a type. */
export interface EasyMessage {
  role: "assistant" | "developer" | "system" | "user";
  content: string | (InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText)[];
  phase?: "commentary" | "final_answer" | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** An error. `retry`: the same request may succeed if it is sent again, after `retry_after` seconds if that is given. `response_id`: the response of a refused cancel, truncate, resume or detach, or the one that is not followed any more. `item`: the item of the conversation that stands in the way. */
export interface ErrorBody {
  type: string;
  code: string;
  message: string;
  param: string | null;
  retry: boolean;
  retry_after?: number;
  response_id?: string;
  item?: Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput;
}

/** The body of every refusal. */
export interface ErrorReply {
  error: ErrorBody;
}

/** The refused input. `input`: as it came. `id`: if it had been accepted. */
export interface FailedSteer {
  id?: string;
  input: unknown;
  previous_response_id: string;
}

export interface FileData {
  file_data?: string | null;
  file_id?: string | null;
  filename?: string | null;
}

export interface FilePart {
  type: "file";
  file: FileData;
}

export interface FileSearchCall {
  type: "file_search_call";
  queries?: unknown;
  results?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface FileSource {
  type: "file";
  file_id: string;
}

export interface FunctionCall {
  type: "function_call";
  call_id: string;
  name: string;
  arguments: string;
  namespace?: string | null;
  channel?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface FunctionCallArgumentsDelta {
  type: "response.function_call_arguments.delta";
  item_id: string;
  output_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface FunctionCallArgumentsDone {
  type: "response.function_call_arguments.done";
  item_id: string;
  output_index: number;
  arguments: string;
  name: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface FunctionCallOutput {
  type: "function_call_output";
  call_id: string;
  output: string | (InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText)[];
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface FunctionDelta {
  name?: string;
  arguments: string;
}

/** A message of the role `function`, which is refused by name. */
export interface FunctionMessage {
  role: "function";
}

export interface FunctionToolCall {
  type: "function";
  id: string;
  function: SaidFunction;
}

/** One message. It has a place in the history like an item, but only a Harmony model can be shown it. */
export interface HarmonyMessage {
  type: "harmony_message";
  author?: Author;
  role?: "assistant" | "developer" | "system" | "tool" | "user";
  name?: string | null;
  channel?: string | null;
  recipient?: string | null;
  content_type?: string | null;
  content: string | (HarmonyText | SystemContent | DeveloperContent)[];
  call_id?: string | null;
}

/** A namespace: functions under one name. */
export interface HarmonyNamespace {
  name: string;
  description?: string | null;
  tools?: HarmonyTool[];
}

export interface HarmonyText {
  type: "text";
  text: string;
}

/** A function. `parameters`: its JSON schema. */
export interface HarmonyTool {
  name: string;
  description?: string;
  parameters?: Record<string, unknown> | null;
}

/** The answer of `/health`. `lease`: whether this node has its lease; only in a cluster. */
export interface Health {
  status: "ok";
  lease?: boolean;
}

/** The state of the server. `engine`: `ready`, or why it can't serve. `responses`: those that the connection follows. */
export interface Heartbeat {
  engine: string;
  responses: Pulse[];
}

export interface ImageBlock {
  type: "image";
  source: Base64Source | UrlSource | FileSource;
}

export interface ImageGenerationCall {
  type: "image_generation_call";
  result?: unknown;
  revised_prompt?: unknown;
  action?: unknown;
  background?: unknown;
  output_format?: unknown;
  quality?: unknown;
  size?: unknown;
  error?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface ImagePart {
  type: "image_url";
  image_url: string | ImageUrl;
}

export interface ImageUrl {
  url: string;
  detail?: string | null;
}

export interface IncompleteDetails {
  reason: string;
}

export interface InjectError {
  code: string;
  message: string;
}

export interface InputFile {
  type: "input_file";
  file_id?: string | null;
  file_data?: string | null;
  file_url?: string | null;
  filename?: string | null;
}

/** An image. Its picture is attached when it has been loaded (see `engine.pictures`), and is never encoded. */
export interface InputImage {
  type: "input_image";
  image_url?: string | null;
  file_id?: string | null;
  detail?: string | null;
}

export interface InputText {
  type: "input_text";
  text: string;
}

export interface InputTokens {
  object: "response.input_tokens";
  input_tokens: number;
}

export interface InputTokensDetails {
  cached_tokens: number;
  cache_write_tokens: number;
}

/** A page of a list of items: a response's input items, or the items of a conversation. */
export interface ItemList {
  object: "list";
  data: (Message | Reasoning | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | LocalShellCallOutput | ShellCallOutput | ApplyPatchCallOutput | ToolSearchOutput | McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse | Compaction | CompactionTrigger | ItemReference | AdditionalTools | ConfigurationUpdate | WebSearchCall | FileSearchCall | CodeInterpreterCall | ImageGenerationCall | ComputerCall | ComputerCallOutput)[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** The origin of a conversation's item. `response_id`: the response that it was the input or the output of; null: it was posted. */
export interface ItemOrigin {
  response_id: string | null;
  created_at: number;
}

/** A reference to the item with this `id`, which the server has. */
export interface ItemReference {
  type: "item_reference";
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface JsonFormat {
  type: "json_schema";
  schema: Record<string, unknown>;
}

/** One JSON object of any content. */
export interface JsonObjectFormat {
  type: "json_object";
}

/** JSON by a schema. The schema is enforced whatever `strict` says. */
export interface JsonSchemaFormat {
  type: "json_schema";
  name: string;
  schema: Record<string, unknown>;
  description?: string | null;
  strict?: boolean | null;
}

/** A Response in a list: without what may be long. */
export interface ListedResponse {
  id: string;
  object: "response";
  created_at: number;
  completed_at: number | null;
  status: "cancelled" | "completed" | "failed" | "in_progress" | "incomplete" | "queued";
  incomplete_details: IncompleteDetails | null;
  error: ResponseError | null;
  model: string;
  previous_response_id: string | null;
  usage: Usage | null;
  tool_choice: string | Record<string, unknown>;
  parallel_tool_calls: boolean;
  max_tool_calls: number | null;
  truncation: string;
  text: TextConfig;
  reasoning: ReasoningConfig;
  temperature: number;
  top_p: number;
  presence_penalty: number;
  frequency_penalty: number;
  top_logprobs: number;
  max_output_tokens: number | null;
  store: boolean;
  background: boolean;
  service_tier: string;
  metadata: Record<string, string>;
  safety_identifier: string | null;
  prompt_cache_key: string | null;
  prompt_cache_retention: string | null;
  moderation: null;
  user: string | null;
  conversation?: ConversationRef;
  cancel?: CancelReceipt;
  truncated?: Truncated;
  recovery?: Recovery;
  end_turn?: boolean;
  stop_sequence?: string;
  request_id?: string;
  rate_limits?: RateLimit[];
}

/** One command, as its words; no shell interprets it. */
export interface LocalShellAction {
  type: "exec";
  command: string[];
  env?: Record<string, string>;
  timeout_ms?: number | null;
  user?: string | null;
  working_directory?: string | null;
}

export interface LocalShellCall {
  type: "local_shell_call";
  call_id: string;
  action: LocalShellAction;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The output of a command. OpenAI's types have the call's id in `id`, its guides in `call_id`: both are understood. */
export interface LocalShellCallOutput {
  type: "local_shell_call_output";
  output: string;
  call_id?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** A request for approval, which ends a response: the call waits for the client's `McpApprovalResponse`. */
export interface McpApprovalRequest {
  type: "mcp_approval_request";
  server_label: string;
  name: string;
  arguments: string;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface McpApprovalResponse {
  type: "mcp_approval_response";
  approval_request_id: string;
  approve: boolean;
  reason?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** A call of an MCP server's tool with its result. `error` is one of the SDK's three error objects. */
export interface McpCall {
  type: "mcp_call";
  server_label: string;
  name: string;
  arguments: string;
  output?: string | null;
  error?: unknown;
  approval_request_id?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface McpCallArgumentsDelta {
  type: "response.mcp_call_arguments.delta";
  item_id: string;
  output_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

/** The arguments are complete; from here on the server works. */
export interface McpCallArgumentsDone {
  type: "response.mcp_call_arguments.done";
  item_id: string;
  output_index: number;
  arguments: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The item has the result. */
export interface McpCallCompleted {
  type: "response.mcp_call.completed";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The item has the error, or the call was cut off. */
export interface McpCallFailed {
  type: "response.mcp_call.failed";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** A call of an MCP server's tool begins. */
export interface McpCallInProgress {
  type: "response.mcp_call.in_progress";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface McpListTools {
  type: "mcp_list_tools";
  server_label: string;
  tools: McpTool[];
  error?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The server has answered. */
export interface McpListToolsCompleted {
  type: "response.mcp_list_tools.completed";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The server has not answered; the item says why. */
export interface McpListToolsFailed {
  type: "response.mcp_list_tools.failed";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** An MCP server is being asked. */
export interface McpListToolsInProgress {
  type: "response.mcp_list_tools.in_progress";
  item_id: string;
  output_index: number;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** A tool of an MCP server, as that server describes it. */
export interface McpTool {
  name: string;
  input_schema: unknown;
  description?: string | null;
  annotations?: unknown;
}

export interface Message {
  type: "message";
  role: "assistant" | "developer" | "system" | "user";
  content: string | (InputText | InputImage | InputFile | OutputText | Refusal | ReasoningText | SummaryText | PlainText)[];
  phase?: "commentary" | "final_answer" | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface MessageMetadata {
  user_id?: string | null;
}

/** The size of a prompt. */
export interface MessageTokensCount {
  input_tokens: number;
}

/** A call that the assistant made, of one kind or the other. */
export interface MessageToolCall {
  id: string;
  type?: "custom" | "function";
  function?: CalledFunction | null;
  custom?: CalledCustomTool | null;
}

/** Tokens of one message. `input_tokens`: those that did not come from the cache; the prompt has the sum of the three. */
export interface MessageUsage {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  output_tokens_details: ThinkingTokens;
}

export interface Model {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

export interface ModelList {
  object: "list";
  data: Model[];
}

/** A node of a cluster. `epoch`: of its newest lease. `lease`: whether that holds; without it nothing is created here. `others`: the number of other nodes. */
export interface NodeStatus {
  name: string;
  epoch: number;
  lease: boolean;
  others: number;
}

/** The fate of the response when nobody follows it any more. */
export interface OnDisconnect {
  policy: "cancel" | "continue" | "linger";
  seconds?: number | null;
}

export interface OutputConfig {
  effort?: "high" | "low" | "max" | "medium" | "xhigh" | null;
  format?: JsonFormat | null;
}

export interface OutputItemAdded {
  type: "response.output_item.added";
  output_index: number;
  item: Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface OutputItemDone {
  type: "response.output_item.done";
  output_index: number;
  item: Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface OutputText {
  type: "output_text";
  text: string;
  annotations?: unknown[];
  logprobs?: unknown[] | null;
}

export interface OutputTextDelta {
  type: "response.output_text.delta";
  item_id: string;
  output_index: number;
  content_index: number;
  delta: string;
  logprobs: unknown[];
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface OutputTextDone {
  type: "response.output_text.done";
  item_id: string;
  output_index: number;
  content_index: number;
  text: string;
  logprobs: unknown[];
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface OutputTokensDetails {
  reasoning_tokens: number;
}

/** Free text. */
export interface PlainFormat {
  type: "text";
}

/** A text without a direction: not in OpenAI's schema, but sent by some clients that come from Chat Completions. */
export interface PlainText {
  type: "text";
  text: string;
}

/** The tokens of a prompt that the engine has read, cached ones included, and all of them. */
export interface PrefillTokens {
  computed: number;
  total: number;
}

/** Options of the prompt cache. `prewarm`: as `generate: false`. The others describe OpenAI's cache; this one is always implicit. */
export interface PromptCacheOptions {
  prewarm?: boolean | null;
  mode?: string | null;
  ttl?: string | null;
  comparison_response_id?: string | null;
}

export interface PromptTokensDetails {
  cached_tokens: number;
}

/** The progress of one response. `num_ahead`, `estimated_seconds`: as in QueuePlace; the first is None, and the other absent, when it does not wait. `put_aside`: it waits in the middle of its answer; absent when it does not. `prefill_tokens`: while a prompt is read, in several steps. `usage`: its tokens so far, from its first token on. */
export interface Pulse {
  response_id: string;
  status: string;
  num_ahead: number | null;
  idle_seconds: number;
  estimated_seconds?: number | null;
  put_aside?: boolean;
  prefill_tokens?: PrefillTokens;
  usage?: Usage;
}

/** A place in the queue. `num_ahead`: responses that are likely to run before it. `estimated_seconds`: until it runs, a guess; None while there is nothing to guess from. */
export interface QueuePlace {
  num_ahead: number;
  estimated_seconds: number | null;
}

/** The remainder of a minute's allowance. `reset_seconds`: until all of it is back. */
export interface RateLimit {
  name: "requests" | "tokens";
  limit: number;
  remaining: number;
  reset_seconds: number;
}

/** The answer of `/ready`: whether a response can be created now, and what the server holds. `behind`: sockets are refused, because the server is late with its work. `structured_output`: false while schemas and grammars can't be compiled. `template`: only if it is unsafe. `node`: only in a cluster. `engines`: only if they are remote, in the order of the settings. */
export interface Readiness {
  ready: boolean;
  engine: string;
  since: number;
  draining: boolean;
  behind: boolean;
  num_restarts: number;
  engine_running: number;
  engine_waiting: number;
  structured_output: boolean;
  responses: number;
  connections: number;
  requests: number;
  template?: UnsafeTemplate;
  node?: NodeStatus;
  engines?: RemoteEngineHealth[];
}

export interface Reasoning {
  type: "reasoning";
  summary?: SummaryText[];
  content?: ReasoningText[] | null;
  encrypted_content?: string | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface ReasoningConfig {
  effort: string | null;
  summary: string | null;
}

export interface ReasoningOptions {
  effort?: "high" | "low" | "max" | "medium" | "minimal" | "none" | "xhigh" | null;
  summary?: "auto" | "concise" | "detailed" | null;
  generate_summary?: "auto" | "concise" | "detailed" | null;
  context?: string | null;
  mode?: string | null;
}

export interface ReasoningSummaryPartAdded {
  type: "response.reasoning_summary_part.added";
  item_id: string;
  output_index: number;
  summary_index: number;
  part: SummaryText;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ReasoningSummaryPartDone {
  type: "response.reasoning_summary_part.done";
  item_id: string;
  output_index: number;
  summary_index: number;
  part: SummaryText;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ReasoningSummaryTextDelta {
  type: "response.reasoning_summary_text.delta";
  item_id: string;
  output_index: number;
  summary_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface ReasoningSummaryTextDone {
  type: "response.reasoning_summary_text.done";
  item_id: string;
  output_index: number;
  summary_index: number;
  text: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ReasoningText {
  type: "reasoning_text";
  text: string;
}

export interface ReasoningTextDelta {
  type: "response.reasoning_text.delta";
  item_id: string;
  output_index: number;
  content_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface ReasoningTextDone {
  type: "response.reasoning_text.done";
  item_id: string;
  output_index: number;
  content_index: number;
  text: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ReasoningUpdate {
  effort?: "high" | "low" | "max" | "medium" | "minimal" | "none" | "xhigh" | null;
}

/** The way in which an answer continued after its server or its engine had ended in the middle of it. kind: `exact`: as if nothing had happened; `prefix_exact`: the existing output stands, and the rest is another sample of the model; `failed`: it did not continue. attempts: how often it was begun or continued. reason: why it did not continue. */
export interface Recovery {
  kind: "exact" | "failed" | "prefix_exact";
  attempts: number;
  reason?: string;
}

export interface RedactedThinkingBlock {
  type: "redacted_thinking";
  data: string;
}

export interface Refusal {
  type: "refusal";
  refusal: string;
}

export interface RefusalPart {
  type: "refusal";
  refusal: string;
}

/** The state of a remote engine: `serving`, `out` (it is tried again) or `unfit` (it answers, but can't serve here). `alike`: an answer that another engine began may continue there, if it `goes_on` with such answers at all. */
export interface RemoteEngineHealth {
  state: string;
  since: number;
  requests: number;
  last_error: string | null;
  alike: boolean;
  goes_on: boolean;
}

/** A warning about something in a request that was ignored, for a native client. `param`: its place. */
export interface RequestWarning {
  param: string;
  message: string;
}

/** One response as clients see it. Nullable members are null, never absent. */
export interface Response {
  id: string;
  object: "response";
  created_at: number;
  completed_at: number | null;
  status: "cancelled" | "completed" | "failed" | "in_progress" | "incomplete" | "queued";
  incomplete_details: IncompleteDetails | null;
  error: ResponseError | null;
  model: string;
  previous_response_id: string | null;
  instructions: string | null;
  output: (Message | Reasoning | FunctionCall | CustomToolCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall | McpListTools | McpCall | McpApprovalRequest | Compaction)[];
  usage: Usage | null;
  tools: Record<string, unknown>[];
  tool_choice: string | Record<string, unknown>;
  parallel_tool_calls: boolean;
  max_tool_calls: number | null;
  truncation: string;
  text: TextConfig;
  reasoning: ReasoningConfig;
  temperature: number;
  top_p: number;
  presence_penalty: number;
  frequency_penalty: number;
  top_logprobs: number;
  max_output_tokens: number | null;
  store: boolean;
  background: boolean;
  service_tier: string;
  metadata: Record<string, string>;
  safety_identifier: string | null;
  prompt_cache_key: string | null;
  prompt_cache_retention: string | null;
  moderation: null;
  user: string | null;
  conversation?: ConversationRef;
  cancel?: CancelReceipt;
  truncated?: Truncated;
  recovery?: Recovery;
  end_turn?: boolean;
  stop_sequence?: string;
  request_id?: string;
  epoch?: string;
  tip?: number;
  rate_limits?: RateLimit[];
  input_messages?: HarmonyMessage[];
  output_messages?: HarmonyMessage[];
  input_token_ids?: number[];
  output_token_ids?: number[];
}

export interface ResponseCompleted {
  type: "response.completed";
  response: Response;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseCreated {
  type: "response.created";
  response: Response;
  epoch: string;
  warnings?: RequestWarning[];
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseDeleted {
  id: string;
  object: "response";
  deleted: boolean;
}

/** The reason why a response failed. `code` is from OpenAI's list where that has one, else from our registry. */
export interface ResponseError {
  code: string;
  message: string;
  param?: string;
}

export interface ResponseFailed {
  type: "response.failed";
  response: Response;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseInProgress {
  type: "response.in_progress";
  response: Response;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseIncomplete {
  type: "response.incomplete";
  response: Response;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The acceptance of an injection. Numbered by the connection although it has a top-level `response_id`: that is OpenAI's form. */
export interface ResponseInjectCreated {
  type: "response.inject.created";
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseInjectFailed {
  type: "response.inject.failed";
  input: unknown;
  error: InjectError;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** A page of responses. */
export interface ResponseList {
  object: "list";
  data: ListedResponse[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export interface ResponseQueued {
  type: "response.queued";
  response: Response;
  queue?: QueuePlace;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The server holds the input; the successor's `response.created` says that it is applied. */
export interface ResponseSteerAccepted {
  type: "response.steer.accepted";
  steer: SteerRef;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ResponseSteerFailed {
  type: "response.steer.failed";
  error: SteerError;
  steer: FailedSteer;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** The response waits for its client: the next create that continues it in its lane gets the input too. */
export interface ResponseSteerPending {
  type: "response.steer.pending";
  steer: SteerRef;
  required_input: Record<string, unknown>[];
  reason: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export type ResponseStreamEvent = ResponseCreated | ResponseQueued | ResponseInProgress | ResponseCompleted | ResponseIncomplete | ResponseFailed | OutputItemAdded | OutputItemDone | ContentPartAdded | ContentPartDone | OutputTextDelta | ReasoningTextDelta | ReasoningSummaryTextDelta | FunctionCallArgumentsDelta | CustomToolCallInputDelta | ShellCallCommandDelta | McpCallArgumentsDelta | OutputTextDone | ReasoningTextDone | ReasoningSummaryPartAdded | ReasoningSummaryPartDone | ReasoningSummaryTextDone | FunctionCallArgumentsDone | CustomToolCallInputDone | CompactionCompacting | ShellCallCommandAdded | ShellCallCommandDone | McpListToolsInProgress | McpListToolsCompleted | McpListToolsFailed | McpCallInProgress | McpCallArgumentsDone | McpCallCompleted | McpCallFailed | ResponseSteerAccepted | ResponseSteerPending | ResponseSteerFailed | ResponseInjectCreated | ResponseInjectFailed | StreamError | SessionHeartbeat | SessionUpdated | ResponseTruncated;

/** The answer to `response.truncate`: the response as it is retrieved from now on. */
export interface ResponseTruncated {
  type: "response.truncated";
  response: Response;
  event_id?: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface SaidCustomTool {
  name: string;
  input: string;
}

export interface SaidFunction {
  name: string;
  arguments: string;
}

export interface SaidText {
  type: "text";
  text: string;
  citations: null;
}

/** A block of thinking. `signature`: the thinking itself, encrypted, for the next request. */
export interface SaidThinking {
  type: "thinking";
  thinking: string;
  signature: string;
}

export interface SaidToolUse {
  type: "tool_use";
  id: string;
  name: string;
  input: Record<string, unknown>;
}

export interface SessionHeartbeat {
  type: "session.heartbeat";
  heartbeat: Heartbeat;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface SessionState {
  heartbeat_seconds: number;
  catch_up?: string;
}

export interface SessionUpdated {
  type: "session.updated";
  session: SessionState;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** Commands for a shell, in order. */
export interface ShellAction {
  commands: string[];
  timeout_ms?: number | null;
  max_output_length?: number | null;
}

export interface ShellCall {
  type: "shell_call";
  call_id: string;
  action: ShellAction;
  environment?: Record<string, unknown> | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** `item_id` is ours in the events of commands; OpenAI's have the index alone. */
export interface ShellCallCommandAdded {
  type: "response.shell_call_command.added";
  item_id: string;
  output_index: number;
  command_index: number;
  command: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ShellCallCommandDelta {
  type: "response.shell_call_command.delta";
  item_id: string;
  output_index: number;
  command_index: number;
  delta: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
  first_sequence_number?: number;
}

export interface ShellCallCommandDone {
  type: "response.shell_call_command.done";
  item_id: string;
  output_index: number;
  command_index: number;
  command: string;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

export interface ShellCallOutput {
  type: "shell_call_output";
  call_id: string;
  output: ShellOutput[];
  max_output_length?: number | null;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The outcome of a command that ended. */
export interface ShellExit {
  type: "exit";
  exit_code: number;
}

/** The output of one command, and its outcome. */
export interface ShellOutput {
  stdout: string;
  stderr: string;
  outcome: ShellTimeout | ShellExit;
}

/** The outcome of a command that was stopped at its time limit. */
export interface ShellTimeout {
  type: "timeout";
}

export interface SteerError {
  code: string;
  message: string;
  type: string;
}

/** The steered response. `previous_response_id`: its id, as the client named it. */
export interface SteerRef {
  id: string;
  previous_response_id: string;
}

/** An error in a stream over HTTP, for both kinds of readers: OpenAI's take the flat members, others the nested. */
export interface StreamError {
  type: "error";
  code: string;
  message: string;
  param: string | null;
  error: ErrorBody;
  sequence_number: number;
  done: boolean;
  response_id?: string;
  stream_id?: string;
}

/** Options of a stream. Of `include_obfuscation`: chunks are never padded here. */
export interface StreamOptions {
  include_usage?: boolean | null;
}

export interface SummaryText {
  type: "summary_text";
  text: string;
}

/** The parts of the system message; null leaves a line out. */
export interface SystemContent {
  type: "system_content";
  model_identity?: string | null;
  reasoning_effort?: "High" | "Low" | "Medium" | null;
  conversation_start_date?: string | null;
  knowledge_cutoff?: string | null;
  channel_config?: ChannelConfig | null;
  tools?: Record<string, HarmonyNamespace> | null;
}

export interface SystemMessage {
  role: "system";
  content: string | (TextPart | RefusalPart | ImagePart | FilePart | AudioPart)[];
}

export interface SystemParam {
  role: "system";
  content: string | TextBlock[];
}

export interface TextBlock {
  type: "text";
  text: string;
}

export interface TextConfig {
  format: PlainFormat | JsonObjectFormat | JsonSchemaFormat;
  verbosity?: string;
}

export interface TextOptions {
  format?: PlainFormat | JsonObjectFormat | JsonSchemaFormat | null;
  verbosity?: "high" | "low" | "medium" | null;
}

export interface TextPart {
  type: "text";
  text: string;
}

export interface TextSource {
  type: "text";
  data: string;
  media_type?: "text/plain";
}

export interface TextUpdate {
  format: PlainFormat | JsonObjectFormat | JsonSchemaFormat;
}

/** A block of thinking. `signature`: the thinking, encrypted; without one the text counts. */
export interface ThinkingBlock {
  type: "thinking";
  thinking: string;
  signature?: string;
}

/** The form of thinking. `budget_tokens` is a hint that models here can't be given; the effort is, by `output_config`. */
export interface ThinkingParam {
  type: "adaptive" | "disabled" | "enabled";
  budget_tokens?: number | null;
  display?: "omitted" | "summarized" | null;
}

export interface ThinkingTokens {
  thinking_tokens: number;
}

/** A ticket with which a page can follow one response. `sub_protocol`: to be offered next to `realtime.v1`. */
export interface Ticket {
  object: "response.ticket";
  ticket: string;
  role: "full" | "viewer";
  expires_at: number;
  sub_protocol: string;
}

/** Body of `POST /v1/responses/{id}/tickets`. A viewer may only watch. `seconds`: how long the ticket is valid. */
export interface TicketCreate {
  role: "full" | "viewer";
  seconds?: number;
}

/** The beginning of a call, with its `id`, `type` and name, or more of its arguments. */
export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "custom" | "function";
  function?: FunctionDelta;
  custom?: CustomToolDelta;
}

export interface ToolChoiceParam {
  type: "any" | "auto" | "none" | "tool";
  name?: string | null;
  disable_parallel_tool_use?: boolean | null;
}

export interface ToolMessage {
  role: "tool";
  tool_call_id: string;
  content: string | (TextPart | RefusalPart | ImagePart | FilePart | AudioPart)[];
}

/** A tool that the client runs. Of any other `type` than `custom` it is one of Anthropic's own, which are refused. */
export interface ToolParam {
  name: string;
  type?: string | null;
  description?: string | null;
  input_schema?: Record<string, unknown> | null;
  strict?: boolean | null;
}

/** The result of a tool. `is_error` is for the reader of a log: a model learns it from the text. */
export interface ToolResultBlock {
  type: "tool_result";
  tool_use_id: string;
  content?: string | (TextBlock | ImageBlock | DocumentBlock)[] | null;
  is_error?: boolean | null;
}

export interface ToolSearchCall {
  type: "tool_search_call";
  arguments: unknown;
  call_id?: string | null;
  execution?: "client" | "server";
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** The tools that a search found. From here on the model has them. */
export interface ToolSearchOutput {
  type: "tool_search_output";
  tools: Record<string, unknown>[];
  call_id?: string | null;
  execution?: "client" | "server";
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

export interface ToolUseBlock {
  type: "tool_use";
  id: string;
  name: string;
  input: Record<string, unknown>;
}

/** The place where an answer was cut. `through`: the last event of which anything is kept. */
export interface Truncated {
  through: number;
}

/** Body of `POST /v1/responses/{id}/truncate`: `through`, or `item_id` and `num_characters`. */
export interface Truncation {
  through?: number | null;
  item_id?: string | null;
  content_index?: number;
  num_characters?: number | null;
}

/** The places of a prompt where the chat template does not keep the letters of control tokens apart from the tokens: `instructions`, `user`, `assistant`, `reasoning`, `call`, `tool_output`, `tool`. */
export interface UnsafeTemplate {
  letters: "unsafe";
  unsafe_in: string[];
}

export interface UpdateFile {
  type: "update_file";
  path: string;
  diff: string;
}

export interface UrlSource {
  type: "url";
  url: string;
}

/** Tokens of one response; `output_tokens` includes reasoning. */
export interface Usage {
  input_tokens: number;
  input_tokens_details: InputTokensDetails;
  output_tokens: number;
  output_tokens_details: OutputTokensDetails;
  total_tokens: number;
}

export interface UserMessage {
  role: "user";
  content: string | (TextPart | RefusalPart | ImagePart | FilePart | AudioPart)[];
}

export interface UserParam {
  role: "user";
  content: string | (TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock)[];
}

export interface WebSearchCall {
  type: "web_search_call";
  action?: unknown;
  id?: string | null;
  status?: string | null;
  recovered?: boolean | null;
}

/** An event of a response: `type` says which. Over the socket each names its response. */
export type ResponseEvent = (ResponseCreated | ResponseQueued | ResponseInProgress | ResponseCompleted | ResponseIncomplete | ResponseFailed | OutputItemAdded | OutputItemDone | ContentPartAdded | ContentPartDone | OutputTextDelta | ReasoningTextDelta | ReasoningSummaryTextDelta | FunctionCallArgumentsDelta | CustomToolCallInputDelta | ShellCallCommandDelta | McpCallArgumentsDelta | OutputTextDone | ReasoningTextDone | ReasoningSummaryPartAdded | ReasoningSummaryPartDone | ReasoningSummaryTextDone | FunctionCallArgumentsDone | CustomToolCallInputDone | CompactionCompacting | ShellCallCommandAdded | ShellCallCommandDone | McpListToolsInProgress | McpListToolsCompleted | McpListToolsFailed | McpCallInProgress | McpCallArgumentsDone | McpCallCompleted | McpCallFailed | StreamError) & { response_id: string };

/** An item of a response's output. */
export type OutputItem = Response["output"][number];
