import { deepStrictEqual } from "node:assert/strict";
import { createRedactor } from "../redact/redact.ts";
import { recordingRedactor } from "./record_requests.ts";

const redact = recordingRedactor(createRedactor("a secret of at least thirty-two characters"));
const received = { status: 200, headers: {}, body: "{}", etag: undefined };

Deno.test("a header that the redactor doesn't know is in no recording", () => {
  const { request, received: response } = redact({
    method: "GET",
    path: "/api/health",
    headers: { "accept": "*/*", "x-note": "call Anna Kovács" },
  }, { ...received, headers: { "vary": "Origin", "x-by": "Anna Kovács" } }) ?? {};
  deepStrictEqual([request?.headers, response?.headers], [{ accept: "*/*" }, { vary: "Origin" }]);
});

Deno.test("a compressed request is recorded as text that is compressed again", () => {
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  const request = { method: "POST", path: "/api/lots", headers, body: "{}", gzip: true };
  deepStrictEqual(redact(request, received)?.request, request);
});

Deno.test("a request that builds on an earlier response is recorded so that it can be sent again", () => {
  const headers = { "if-none-match": "{{etag 0}}", "content-length": "0" };
  const request = { method: "GET", path: "/API/traceability/RAW-BEEF-001/", headers };
  deepStrictEqual(redact(request, received)?.request, request);
});

Deno.test("a request whose body is no text is not recorded", () => {
  const request = { method: "POST", path: "/api/lots", headers: {}, body: "/w==" };
  deepStrictEqual(redact({ ...request, encoding: "base64" }, received), undefined);
});
