import { listed } from "./listed.ts";

/** Of `Content-Type`. */
export const TYPES = listed(
  "application/json¦Application/JSON¦APPLICATION/JSON¦application/json;¦" +
    "application/json; ¦application/json ;¦ application/json¦application/json;charset¦" +
    "application/json; charset=¦application/json; charset=utf-8; charset=utf-8¦" +
    'application/json; boundary=x¦application/json; a="b;c"¦application/json; a="b¦' +
    "application/json; a¦application/json; =b¦application/json,application/json¦" +
    "application/json, text/plain¦text/plain, application/json¦application/json text/plain¦" +
    "application/jsonx¦xapplication/json¦application/json+x¦application/vnd.api+json¦" +
    "application/ld+json¦application/problem+json¦application/json5¦application/x-json¦" +
    "text/json¦text/x-json¦text/plain¦text/plain;charset=UTF-8¦text/html¦" +
    "application/x-www-form-urlencoded¦multipart/form-data; boundary=x¦" +
    "application/octet-stream¦application/javascript¦application/*¦*/*¦*/json¦json¦" +
    "application¦application/¦/json¦¦ ¦;¦,¦application/json\t; charset=utf-8¦" +
    "application/json;\tcharset=utf-8¦application/ json¦application /json¦" +
    "application/json; charset=\"utf-8\"¦application/json; charset='utf-8'¦" +
    'application/json; charset="utf\\-8"¦application/json; charset=utf-8,¦' +
    "application/json; q=1¦application/json; version=1; charset=UTF-8¦" +
    "application/json charset=utf-8¦application/json; charset = utf-8¦" +
    "application/json; charset=utf-8 ;¦application/json;;¦" +
    "application/json; ; charset=utf-8¦application/json; é=1¦application/json; a=é¦" +
    "application/jsön¦null¦undefined¦application/json; charset*=utf-8''x¦" +
    "application/json; charset=utf-8\u00a0¦application/json\u00a0¦image/png¦" +
    "application/xml¦application/cbor¦application/merge-patch+json¦application/graphql",
);

/** Of `Idempotency-Key`. */
export const KEYS: [string, ...string[]] = [
  "a".repeat(254),
  "a".repeat(255),
  "a".repeat(256),
  "a".repeat(257),
  "a".repeat(5_000),
  `"${"a".repeat(255)}"`,
  `"${"a".repeat(256)}"`,
  ...listed(
    'a¦7d9f2c¦¦ ¦"quoted"¦""¦"a¦a"¦"a\\"b"¦"a\\b"¦"a";x=1¦a b¦a,b¦a, b¦é¦é\u00a0¦a\tb¦!¦~¦' +
      '0¦null¦?1¦:YWJj:¦(a b)¦00000000-0000-4000-8000-000000000000¦"é"¦*¦<script>¦' +
      '\'; drop table lots; --¦\\¦\u0080ÿ¦a=b¦W/"a"',
  ),
];

/** Of `If-None-Match`. */
export const ETAGS: [string, ...string[]] = [
  '"a"'.padEnd(6_000, ',"a"'),
  ...listed(
    '*¦""¦W/""¦"a"¦W/"a"¦w/"a"¦a¦W/a¦¦ ¦,¦"a", "b"¦W/"a",W/"b"¦*, "a"¦"a" "b"¦"a¦W/¦"é"¦' +
      '"a,b"¦\'a\'¦W/"1-2"¦"*"¦null¦W/ "a"¦"a";',
  ),
];

/** Of `Authorization`. */
export const AUTHORIZATIONS: [string, ...string[]] = [
  `Bearer ${"x".repeat(6_000)}`,
  ...listed(
    "¦ ¦Bearer¦Bearer ¦Bearer x¦bearer x¦BEARER x¦Bearer  x¦Bearer x y¦Bearer\tx¦" +
      'Basic YWRtaW46YWRtaW4=¦Basic¦Digest username="x"¦Token x¦x¦' +
      "Bearer mock-jwt-token-for-mode-c¦Bearer a.b.c¦Bearer eyJhbGciOiJub25lIn0.e30.¦" +
      "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x¦Bearer é¦Bearer x, Bearer y¦Negotiate x¦Bearer null¦" +
      'Bearer "x"¦Bearer x;¦AWS4-HMAC-SHA256 x',
  ),
];

/** Of `Expect`. */
export const EXPECTATIONS = listed(
  "100-continue¦100-Continue¦100-CONTINUE¦ 100-continue ¦foo¦¦200-ok¦100-continue, foo¦" +
    'foo, 100-continue¦100-continue;q=1¦100¦100-continue, 100-continue¦"100-continue"¦' +
    "foo=bar¦é¦continue",
);

/** Headers that affect a response, or could. */
export const OTHERS: [string, string[]][] = [
  ["Accept", [
    "",
    "*/*",
    "text/html",
    "application/xml",
    "image/*",
    "application/json;q=0",
    "text/html,application/xhtml+xml",
    "application/json; version=2",
    "é",
    "a".repeat(4_000),
    "*",
    ",",
    "application/problem+json",
  ]],
  ["Accept-Encoding", [
    "",
    "gzip",
    "gzip, deflate, br, zstd",
    "identity;q=0",
    "*;q=0",
    "br",
    "identity",
    "*",
    "gzip;q=0",
    "deflate",
    "zstd",
    "GZIP",
    "x",
  ]],
  ["Accept-Language", ["", "hu", "de-DE,de;q=0.9", "*", "x".repeat(3_000)]],
  ["Accept-Charset", ["utf-8", "iso-8859-1", "utf-16", ""]],
  ["Range", [
    "bytes=0-3",
    "bytes=0-0",
    "bytes=-5",
    "bytes=5-",
    "bytes=9999999-",
    "bytes=0-1,3-4",
    "lines=1-2",
    "bytes=a-b",
    "",
  ]],
  ["If-Range", ['"a"', "Mon, 19 Jan 2026 10:11:12 GMT"]],
  ["If-Match", ["*", '"a"', 'W/"a"', ""]],
  ["If-Modified-Since", [
    "Mon, 19 Jan 2026 10:11:12 GMT",
    "Mon, 19 Jan 2099 10:11:12 GMT",
    "yesterday",
    "",
    "0",
    "Thu, 01 Jan 1970 00:00:00 GMT",
  ]],
  ["If-Unmodified-Since", ["Thu, 01 Jan 1970 00:00:00 GMT", "x"]],
  ["Cache-Control", [
    "no-cache",
    "no-store",
    "max-age=0",
    "only-if-cached",
    "no-cache, no-store",
    "NO-CACHE",
    "x",
    "",
  ]],
  ["Pragma", ["no-cache", "x"]],
  ["Origin", [
    "https://plant.example",
    "null",
    "",
    "http://localhost:3000",
    "é",
    "file://",
    "https://a.example, https://b.example",
  ]],
  ["Access-Control-Request-Method", ["POST", "PUT", "", "x"]],
  ["Access-Control-Request-Headers", ["content-type", "authorization,x", "", "*"]],
  ["Access-Control-Request-Private-Network", ["true"]],
  ["X-HTTP-Method-Override", ["GET", "POST", "DELETE", "PUT"]],
  ["X-Method-Override", ["DELETE"]],
  ["X-Original-URL", ["/api/health", "/admin"]],
  ["X-Rewrite-URL", ["/api/health"]],
  ["X-Forwarded-For", [
    "10.0.0.1",
    "10.0.0.1, 10.0.0.2",
    "é",
    "",
    "unknown",
    "::1",
    "[::1]:80",
    "a".repeat(3_000),
  ]],
  ["X-Forwarded-Host", ["evil.example", "", "a, b"]],
  ["X-Forwarded-Proto", ["https", "javascript", ""]],
  ["X-Forwarded-Prefix", ["/x"]],
  ["Forwarded", ["for=10.0.0.1;proto=https", 'for="[::1]"', "x"]],
  ["X-Real-IP", ["10.0.0.1", "x"]],
  ["X-Request-Id", [
    "abc",
    "",
    "a b",
    "é",
    "x".repeat(64),
    "x".repeat(65),
    "x".repeat(3_000),
    "../x",
    "<x>",
    "{}",
  ]],
  ["X-Correlation-Id", ["abc"]],
  ["Traceparent", ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x"]],
  ["Cookie", ["a=b", "", "a=b; c=d", "é=é", "x".repeat(6_000), "__proto__=1", "a"]],
  ["Referer", ["https://plant.example/", "", "é", "javascript:1"]],
  ["User-Agent", ["", "é", "curl/8", "x".repeat(6_000), "sqlmap"]],
  ["Date", ["Mon, 19 Jan 2026 10:11:12 GMT", "x"]],
  ["Via", ["1.1 proxy", "x"]],
  ["Max-Forwards", ["0", "10", "-1", "x"]],
  ["TE", ["trailers", "gzip", "", "trailers, deflate;q=0.5"]],
  ["Trailer", ["x-checksum", "content-length"]],
  ["Upgrade", ["websocket", "h2c", "HTTP/2.0", "", "TLS/1.0", "x"]],
  ["HTTP2-Settings", ["AAMAAABkAARAAAAAAAIAAAAA"]],
  ["Connection", [
    "close",
    "keep-alive",
    "Keep-Alive",
    "Upgrade",
    "close, keep-alive",
    "x-foo",
    "content-type",
    "authorization",
    "content-length",
    "host",
    "",
    "close, x",
    "TE",
    "Content-Encoding",
    "if-none-match",
    "origin",
    "accept",
    "idempotency-key",
    "X-Request-Id",
  ]],
  ["Keep-Alive", ["timeout=5", "max=1", "x"]],
  ["Proxy-Connection", ["keep-alive", "close"]],
  ["Proxy-Authorization", ["Basic x"]],
  ["Content-Language", ["hu", ""]],
  ["Content-Location", ["/x"]],
  ["Content-Disposition", ["attachment; filename=x", "form-data; name=x"]],
  ["Content-MD5", ["x"]],
  ["Content-Range", ["bytes 0-3/10", "x"]],
  ["Digest", ["sha-256=x"]],
  ["Prefer", ["return=minimal", "respond-async", "x"]],
  ["Priority", ["u=1", "x"]],
  ["Sec-Fetch-Mode", ["cors", "navigate"]],
  ["Sec-WebSocket-Key", ["x3JJHMbDL1EzLkh9GBhXDw=="]],
  ["Save-Data", ["on"]],
  ["DNT", ["1"]],
  ["X-Lotline-Dry-Run", ["1", "done", "t=1,v=x", ""]],
  ["X-API-Key", ["x"]],
  ["X-Http-Method", ["DELETE"]],
  ["Content-Transfer-Encoding", ["base64", "quoted-printable"]],
  ["MIME-Version", ["1.0"]],
  ["From", ["admin@flowviz.com"]],
  ["Warning", ["199 - x"]],
  ["__proto__", ["x"]],
  ["constructor", ["x"]],
  ["toString", ["x"]],
  ["X", ["", "é", "\x80\xff", "a\tb", "x".repeat(4_000), '"', "'", "\\", "%00", "x\u00a0"]],
  ["!#$%&'*+-.^_`|~0aZ", ["x"]],
];

/** Headers that at least one upstream reads. */
export const LINES: [name: string, values: readonly [string, ...string[]]][] = [
  ["Content-Type", TYPES],
  ["Idempotency-Key", KEYS],
  ["If-None-Match", ETAGS],
  ["Authorization", AUTHORIZATIONS],
  ["Expect", EXPECTATIONS],
];
