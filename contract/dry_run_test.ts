import { match, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { isDryRunProof, type ReceivedDryRun, signDryRun } from "./dry_run.ts";

const SECRET = "a secret of more than 32 characters";
const NOW = Date.UTC(2026, 0, 19, 10);
const BODY = new TextEncoder().encode('{"lot_code":"RAW-1"}');
const PROOF = signDryRun(SECRET, {
  method: "POST",
  target: "/api/lots?from=scale",
  body: BODY,
  at: NOW,
});

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const RECEIVED: ReceivedDryRun = {
  method: "POST",
  target: "/api/lots?from=scale",
  bodyHash: hashOf(BODY),
  proof: PROOF,
};

Deno.test("a proof carries its moment and is valid for its request", () => {
  match(PROOF, /^t=1768816800000,sig=[0-9a-f]{64}$/);
  ok(isDryRunProof(SECRET, RECEIVED, NOW));
});

Deno.test("a proof has the form in docs/security.md", () => {
  // Made with: printf 'lotline-dry-run\n1768816800000\nPOST\n/api/lots?from=scale\n%s' \
  //   $(printf '{"lot_code":"RAW-1"}' | sha256sum | cut -d' ' -f1) | openssl dgst -sha256 -hmac "$SECRET"
  strictEqual(
    PROOF,
    "t=1768816800000,sig=9dd77b176fca75aba7f63ea5c928ddfa179a0704c81b91989247865f61b8f00b",
  );
});

Deno.test("a proof is valid for a minute before and after its moment", () => {
  for (const [ms, good] of [[0, true], [60_000, true], [60_001, false], [3_600_000, false]]) {
    for (const now of [NOW + Number(ms), NOW - Number(ms)]) {
      strictEqual(isDryRunProof(SECRET, RECEIVED, now), good, `${now - NOW} ms`);
    }
  }
});

const OTHERS: [what: string, other: Partial<ReceivedDryRun>][] = [
  ["method", { method: "PUT" }],
  ["letters of the method", { method: "post" }],
  ["path", { target: "/api/qc-decisions?from=scale" }],
  ["letters of the path", { target: "/api/Lots?from=scale" }],
  ["query", { target: "/api/lots" }],
  ["body", { bodyHash: hashOf(BODY.subarray(1)) }],
  ["body, none at all", { bodyHash: hashOf(new Uint8Array()) }],
];
for (const [what, other] of OTHERS) {
  Deno.test(`a proof is not valid for another ${what}`, () => {
    ok(!isDryRunProof(SECRET, { ...RECEIVED, ...other }, NOW));
  });
}

const SIGNATURE = PROOF.split("sig=")[1] ?? "";
const ODD: [what: string, header: string][] = [
  ["nothing", ""],
  ["another moment", `t=${NOW + 1},sig=${SIGNATURE}`],
  ["no moment", `t=,sig=${SIGNATURE}`],
  ["a moment in another spelling", `t=0${NOW},sig=${SIGNATURE}`],
  ["a broken moment", `t=1.7688168e12,sig=${SIGNATURE}`],
  ["a moment below 1970", `t=-${NOW},sig=${SIGNATURE}`],
  ["an endless moment", `t=${"9".repeat(400)},sig=${SIGNATURE}`],
  ["no signature", `t=${NOW},sig=`],
  ["an altered signature", PROOF.replace(/.$/, (last) => last === "0" ? "1" : "0")],
  ["a shorter signature", PROOF.slice(0, -2)],
  ["a longer signature", `${PROOF}00`],
  ["capitals", PROOF.toUpperCase()],
  ["a signature in capitals", `t=${NOW},sig=${SIGNATURE.toUpperCase()}`],
  ["the other order", `sig=${SIGNATURE},t=${NOW}`],
  ["a space", `t=${NOW}, sig=${SIGNATURE}`],
  ["a line behind it", `${PROOF}\n`],
  ["itself twice", `${PROOF}, ${PROOF}`],
  ["words", "done"],
];
for (const [what, header] of ODD) {
  Deno.test(`${what} is no proof`, () =>
    ok(!isDryRunProof(SECRET, { ...RECEIVED, proof: header }, NOW)));
}

Deno.test("another secret makes another proof", () => {
  for (const secret of [`${SECRET} `, SECRET.toUpperCase(), ""]) {
    ok(!isDryRunProof(secret, RECEIVED, NOW), secret);
  }
});
