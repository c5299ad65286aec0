import { strictEqual } from "node:assert/strict";
import { findOperation, originForm } from "./match_operation.ts";

const FOUND: [method: string, target: string, operation: string | undefined][] = [
  ["GET", "/api/health", "getHealth"],
  ["HEAD", "/api/health", "getHealth"],
  ["GET", "/API/Health/", "getHealth"],
  ["GET", "/api/health?x=1", "getHealth"],
  ["GET", "/api/health#x", "getHealth"],
  ["GET", "http://plant:80/api/health?x", "getHealth"],
  ["GET", "http://plant?/api/health", undefined],
  ["GET", "http://plant#/api/health", undefined],
  ["POST", "/api/health", undefined],
  ["OPTIONS", "/api/health", undefined],
  ["GET", "/api/health//", undefined],
  ["GET", "//api/health", undefined],
  ["GET", "/api/x/../health", undefined],
  ["GET", "/api/%68ealth", undefined],
  ["GET", "/api/traceability/RAW-1", "getTraceability"],
  ["GET", "/api/traceability/%zz", "getTraceability"],
  ["HEAD", "/Api/Traceability/a%2Fb/?q=/", "getTraceability"],
  ["GET", "/api/traceability/..", "getTraceability"],
  ["GET", "/api/traceability/", undefined],
  ["GET", "/api/traceability//", undefined],
  ["GET", "/api/traceability", undefined],
  ["GET", "/api/traceability/a/b", undefined],
  ["POST", "/api/login", "login"],
  ["HEAD", "/api/login", undefined],
  ["get", "/api/health", undefined],
  ["POST", "/api/audits", "createAudit"],
  ["GET", "/api/audits", "listAudits"],
  ["GET", "/.well-known/jwks.json", "getSigningKeys"],
  ["GET", "http://plant", undefined],
  ["GET", "HTTPS://plant/api/health", "getHealth"],
  ["GET", "http://plant?/api/health", undefined],
  ["GET", "http://plant#/api/health", undefined],
  ["OPTIONS", "*", undefined],
  ["GET", "/", undefined],
  ["GET", "/__proto__", undefined],
];

for (const [method, target, operation] of FOUND) {
  Deno.test(`${method} ${target} matches ${operation ?? "no operation"}`, () => {
    strictEqual(findOperation(method, target), operation);
  });
}

const ORIGINS: [target: string, origin: string][] = [
  ["/api/lots?x#y", "/api/lots?x#y"],
  ["http://plant:80/api/lots?x", "/api/lots?x"],
  ["HTTPS://plant/", "/"],
  ["http://plant", "/"],
  ["http://plant?x/y", "/?x/y"],
  ["http://plant#x/y", "/#x/y"],
  ["*", "*"],
];
for (const [target, origin] of ORIGINS) {
  Deno.test(`the origin form of ${target} is ${origin}`, () =>
    strictEqual(originForm(target), origin));
}
