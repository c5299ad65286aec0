import { deepStrictEqual, match, notStrictEqual, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { apiInBothModes } from "../testing/both_modes.ts";
import { insertChain } from "../testing/genealogy.ts";
import {
  accountsOf,
  bodyOf,
  isReplay,
  kept,
  leavesUnchanged,
  PATHS,
} from "../testing/keyed_requests.ts";
import { rawRequest, sendRaw } from "../testing/raw_http.ts";

const { required, legacy, sql, maker } = await apiInBothModes();
await insertChain(sql, "CHAIN", 3);
const newAccount = accountsOf(sql, maker);

const LONG = "k".repeat(255);
const GOOD: [sent: string, key: string][] = [
  ["1", "1"],
  ["8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"],
  ['"quoted"', "quoted"],
  ['"\\"\\\\"', '"\\'],
  [`!#$%&'()*+,-./:;<=>?@[\\]^_{|}~"`, `!#$%&'()*+,-./:;<=>?@[\\]^_{|}~"`],
  ["';droptablelots;--", "';droptablelots;--"],
  [LONG, LONG],
  [`"${"\\\\".repeat(255)}"`, "\\".repeat(255)],
];
for (const [sent, key] of GOOD) {
  Deno.test(`${sent.slice(0, 40)} is the key ${key.slice(0, 40)}`, async () => {
    const { bearer } = await newAccount();
    const headers = { ...bearer(), "idempotency-key": sent };
    const body = bodyOf("/api/qc-decisions");
    const first = await required.post("/api/qc-decisions", body, headers);
    strictEqual(first.status, 201, first.text);
    const again = await required.post("/api/qc-decisions", body, headers);
    deepStrictEqual([kept(again), isReplay(again)], [kept(first), true]);
    strictEqual((await sql`select from lotline.idempotency_keys where key = ${key}`).length, 1);
  });
}

Deno.test("the digest of a request is the one that earlier versions have stored", async () => {
  const { id, bearer } = await newAccount();
  const headers = { ...bearer(), "idempotency-key": "digest" };
  const body = { notes: "Ködös", decision: "HOLD", temperature_c: "-0.10" };
  strictEqual((await required.post("/api/qc-decisions", body, headers)).status, 201);
  const [row] = await sql<{ digest: string }[]>`
    select encode(request, 'hex') as digest from lotline.idempotency_keys
    where caller = ${id} and key = 'digest'`;
  // Another one would refuse the repetition of a request during an update.
  strictEqual(row?.digest, "c0fb6a11a62fd40c7daf9e191da25041b0b724ec22a92c880181c15aee391e09");
});

Deno.test("a key is the same bare and in quotes, and another one in capitals", async () => {
  const { bearer } = await newAccount();
  const body = bodyOf("/api/qc-decisions");
  const post = (key: string) =>
    required.post("/api/qc-decisions", body, { ...bearer(), "idempotency-key": key });
  const first = await post("abc");
  deepStrictEqual(kept(await post('"abc"')), kept(first));
  notStrictEqual((await post("ABC")).json.id, first.json.id);
});

const BAD = [
  "",
  '""',
  '"',
  '"a',
  '"a"b',
  '"a";b=1',
  '"a\\b"',
  "a b",
  "a, b",
  "\xe9",
  "a\tb",
  `${LONG}k`,
];
for (const key of BAD) {
  Deno.test(`the key ${JSON.stringify(key.slice(0, 40))} is refused with 422, and nothing is done`, async () => {
    await leavesUnchanged(sql, async () => {
      for (const path of [...PATHS, "/api/logout"] as const) {
        const body = path === "/api/logout" ? "" : JSON.stringify(bodyOf(path));
        const line = `Content-Type: application/json\r\nIdempotency-Key: ${key}\r\n`;
        // Header bytes are Latin-1.
        const bytes = Buffer.from(rawRequest(`POST ${path}`, "\0", body));
        const at = bytes.indexOf(0);
        const request = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(line, "latin1"),
          bytes.subarray(at + 1),
        ]);
        const reply = await sendRaw(Number(new URL(legacy.url).port), request);
        strictEqual(reply.status, 422, `${path} ${reply.head}`);
        match(reply.body, /Idempotency-Key must be 1 to 255 visible ASCII characters/);
      }
    });
  });
}

Deno.test("the header twice is refused", async () => {
  const line = "Content-Type: application/json\r\nIdempotency-Key: a\r\nidempotency-key: a\r\n";
  const request = rawRequest("POST /api/lots", line, '{"lot_code":"TWICE"}');
  strictEqual((await sendRaw(Number(new URL(legacy.url).port), request)).status, 422);
});

Deno.test("a script of another site may send the header", async () => {
  const { status, headers } = await legacy.send("/api/lots", {
    method: "OPTIONS",
    headers: {
      origin: "https://plant.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,idempotency-key",
    },
  });
  deepStrictEqual(
    [status, headers.get("access-control-allow-headers")],
    [204, "content-type,idempotency-key"],
  );
});
