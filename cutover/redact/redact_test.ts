import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { deflateSync, gzipSync } from "node:zlib";
import { Random } from "../../dev/random.ts";
import { captured, responseOf } from "../testing/captured.ts";
import { bytesOf } from "../../testing/raw_http.ts";
import type { Finding } from "../evidence/evidence.ts";
import type { CapturedRequest, HeaderLines } from "../exchange/exchange.ts";
import { createRedactor } from "./redact.ts";

const SECRET = "a secret of at least thirty-two characters";
const redactor = createRedactor(SECRET);
const textOf = ({ body }: { body: Uint8Array }) => new TextDecoder().decode(body);

const HIDDEN: [what: string, text: string, pattern: RegExp][] = [
  ["an email", "mail john.doe@plant.example now", /^mail email-[0-9a-f]{12} now$/],
  ["an email with accents", "Éva.Kovács@üzem.example", /^email-\w+$/],
  ["a quoted email", 'to "john doe"@plant.example.', /^to email-\w+\.$/],
  ["an email beside a sign", "<a@b.example>,c+d@e.example", /^<email-\w+>,email-\w+$/],
  ["a JWT", "x eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln y", /^x token-\w+ y$/],
  ["a bearer token", "Bearer abc.DEF-123_456", /^Bearer token-\w+$/],
  ["a bcrypt hash", "$2b$12$abcdefghijklmnopqrstuv.ABCDEFGHIJKLMNOPQRSTUVWXYZ01234", /^hash-\w+$/],
  ["a named password", "password=hunter2&x=1", /^password=password-\w+&x=1$/],
  [
    "a password in broken JSON",
    '{"a":1,"password": "hun ter2',
    /^\{"a":1,"password": "password-\w+$/,
  ],
  ["a name in a sentence", "x, full_name: John Smith; y", /^x, full_name: name-\w+; y$/],
  [
    "a secret behind another name",
    "note: the password: hunter2",
    /^note: the password: password-\w+$/,
  ],
  [
    "JSON inside of JSON",
    '{"m":"{\\"token\\":\\"abcdef\\"}"}',
    /^\{"m":"\{\\"token\\":\\"token-\w+\\"\}"\}$/,
  ],
  [
    "a number for a password",
    '{"password":123456,"n":1.50}',
    /^\{"password":"password-\w+","n":1.50\}$/,
  ],
  [
    "names in a list",
    '{"names":["Eva",{"x":"Max"}],"n":null}',
    /^\{"names":\["name-\w+",\{"x":"name-\w+"\}\],"n":null\}$/,
  ],
  ["an email as a key", '{"a@b.example":1}', /^\{"email-\w+":1\}$/],
];

for (const [what, text, pattern] of HIDDEN) {
  Deno.test(`hidden: ${what}`, () => {
    const clean = redactor.text(text);
    match(clean, pattern);
    strictEqual(redactor.text(clean), clean, "once more changes nothing");
  });
}

const SHOWN = [
  "LOT@5",
  "RAW-BEEF-001",
  "00000000-0000-4000-8000-000000950201",
  '{"lot_code":"MIX-BATCH-88","weight_kg":"540.0","n":540.0,"created_at":"2026-01-18T07:01:02.123Z"}',
  '{ "a" : "\\u0041" }',
  'column "email" of relation "users" does not exist',
  "User not found",
  '{"error":"x","details":[{"path":"lot_code","message":"is missing"}]}',
  "a == b: c",
  "",
];

for (const text of SHOWN) {
  Deno.test(`shown as it is: ${text}`, () => strictEqual(redactor.text(text), text));
}

Deno.test("the same value gets the same pseudonym, and another one with another secret", () => {
  const [one, two] = [redactor.text("a@b.example"), redactor.text('{"email":"a@b.example"}')];
  strictEqual(two, `{"email":"${one}"}`);
  ok(createRedactor(`${SECRET}!`).text("a@b.example") !== one);
});

Deno.test("addresses, cookies and tokens in headers are hidden, what was compressed is told plainly", () => {
  const headers: HeaderLines = [
    ["Authorization", "Basic am9objpodW50ZXIy"],
    ["Cookie", "session=abc"],
    ["X-Forwarded-For", "192.0.2.1, 198.51.100.7"],
    ["x-lotline-dry-run", "t=1,sig=ab"],
    ["Referer", "http://x.example/?email=a%40b.example&lot=A"],
    ["Content-Encoding", "gzip"],
    ["Content-Length", "99"],
    ["Accept", "*/*"],
  ];
  const request = captured(
    "POST",
    "/api/login",
    new Uint8Array(gzipSync('{"password":"hunter2"}')),
    headers,
  );
  const clean = redactor.request(request);
  const names = clean.headers.map(([name]) => name);
  deepStrictEqual(names, [
    "Authorization",
    "Cookie",
    "X-Forwarded-For",
    "x-lotline-dry-run",
    "Referer",
    "Accept",
  ]);
  const values = clean.headers.map(([, value]) => value);
  ok(!/am9o|abc|192|198|sig|b\.example/.test(values.join()), values.join());
  match(values[4] ?? "", /^http:\/\/x\.example\/\?email=email-\w+&lot=A$/);
  match(textOf(clean), /^\{"password":"password-\w+"\}$/);
});

const TARGETS: [target: string, pattern: RegExp][] = [
  ["/api/traceability/MIX-BATCH-88?x=1", /^\/api\/traceability\/MIX-BATCH-88\?x=1$/],
  ["/api/traceability/%C5%90R%2F%20100%25", /^\/api\/traceability\/%C5%90R%2F%20100%25$/],
  ["/api/traceability/a%40b.example", /^\/api\/traceability\/email-\w+$/],
  ["/x?mail=a%2540b.example", /^\/x\?mail=email-\w+$/],
  ["/x?q=a%2540b.example", /^\/x\?q=email-\w+$/],
  ["/x?access_token=abc", /^\/x\?access_token=token-\w+$/],
  ["/x?pass%77ord=hun+ter%32", /^\/x\?pass%77ord=password-\w+$/],
  ["/api/%E0%A4%A/a%40b.example", /^\/api\/%E0%A4%A\/email-\w+$/],
  ["/x?q=%E0a%40b.example", /^\/x\?q=/],
];

for (const [target, pattern] of TARGETS) {
  Deno.test(`of the target ${target} no secret stays`, () => {
    const clean = redactor.request(captured("GET", target)).target;
    match(clean, pattern);
    ok(!/b\.example|hun/.test(clean), clean);
  });
}

const BODIES: [what: string, body: Uint8Array, headers: HeaderLines, pattern: RegExp][] = [
  ["a form", bytesOf("email=a%40b.example&password=hun%20ter2"), [[
    "content-type",
    "application/x-www-form-urlencoded",
  ]], /^email=email-\w+&password=password-\w+$/],
  [
    "deflate",
    new Uint8Array(deflateSync("a@b.example")),
    [["content-encoding", "deflate"]],
    /^email-\w+$/,
  ],
  ["gzip that isn't called so", new Uint8Array(gzipSync("a@b.example")), [], /^email-\w+$/],
  [
    "broken gzip",
    gzipSync("a@b.example").subarray(0, 20),
    [["content-encoding", "gzip"]],
    /^\(20 bytes that are no text\)$/,
  ],
  ["gzip that becomes too large", new Uint8Array(gzipSync("a@b.example ".repeat(200_000))), [[
    "content-encoding",
    "gzip",
  ]], /bytes that are no text\)$/],
  [
    "UTF-16",
    new Uint8Array(Buffer.from("a@b.example", "utf16le")),
    [],
    /^\(22 bytes that are no text\)$/,
  ],
  ["bad UTF-8", new Uint8Array([0xff, 0x61]), [], /^\(2 bytes that are no text\)$/],
  ["long text", bytesOf("word ".repeat(2_000)), [], /^(?:word ){790,799}…?/],
];

for (const [what, body, headers, pattern] of BODIES) {
  Deno.test(`a body that is ${what} is kept without secrets, or not at all`, () => {
    const clean = textOf(redactor.request(captured("POST", "/x", body, headers)));
    match(clean, pattern);
    ok(clean.length <= 4_000 && !clean.includes("b.example"), clean);
  });
}

Deno.test("where a long text is cut, no half of a secret stays, and once more changes nothing", () => {
  // Pseudonyms are much shorter, so that the end of what was looked at shows.
  const emails = `${"long-and-longer".repeat(6)}@plant.example `.repeat(200);
  const clean = textOf(redactor.request(captured("POST", "/x", emails, [])));
  ok(!clean.includes("longer"), clean.slice(-200));
  for (let before = 1_960; before < 2_000; before++) {
    const once = redactor.request(
      captured("POST", "/x", `${"w ".repeat(before)}password=hunter2&${"z ".repeat(900)}`, []),
    );
    deepStrictEqual(redactor.request(once), once);
  }
});

Deno.test("the secret that one place names is hidden wherever it stands in a finding", () => {
  const request = captured(
    "POST",
    "/api/login",
    '{"email":"eva@plant.example","password":"hunter2!"}',
  );
  const response = responseOf(500, '{"error":"no hunter2! here","by":["hunter2!"]}');
  const finding: Finding = {
    operation: "login",
    route: {
      operation: "login",
      mode: { name: "shadow" },
      epoch: 1,
      samplePercent: 100,
      latch: undefined,
    },
    outcome: "different",
    approvals: [],
    differences: [
      { place: "body.user.full_name", legacy: '"Kovács Éva"', service: "null" },
      { place: "body.error", legacy: '"no hunter2! here"', service: '"eva@plant.example"' },
      { place: 'body["eva@plant.example"]', legacy: "1" },
      { place: "body.central.weight_kg", legacy: '"540.0"', service: '"540.00"' },
    ],
    exchange: { mode: "shadow", request, legacy: response, service: response },
  };
  const clean = redactor.finding(finding);
  const all = JSON.stringify(clean) +
    [clean.exchange?.request, clean.exchange?.legacy, clean.exchange?.service]
      .map((one) => one && textOf(one)).join();
  ok(!/hunter2|eva@|Kovács/.test(all), all);
  deepStrictEqual(clean.differences[3], finding.differences[3]);
  match(clean.differences[0]?.legacy ?? "", /^name-\w+$/);
  deepStrictEqual(redactor.finding(clean), clean);
});

/** Exchanges with secrets in odd places, the same ones for the same seed. */
function* oddExchanges(count: number): Generator<{ secrets: string[]; request: CapturedRequest }> {
  const numbers = new Random(7);
  const random = () => numbers.next();
  const pick = <T>(list: readonly T[]): T =>
    list[Math.floor(random() * list.length)] ?? (() => {
      throw new Error("an empty list");
    })();
  const word = (letters = "abcdefghkmnpqrstuvwxyzéő0123456789") =>
    Array.from({ length: 6 + Math.floor(random() * 20) }, () => pick([...letters])).join("");
  const base64 = (text: string) => Buffer.from(text).toString("base64url");
  for (let i = 0; i < count; i++) {
    const email = `${word("abcdefgh.+_-0123456789é")}x@${word("abcdefgh")}.example`;
    const token = `${base64(`{"alg":"EdDSA","n":"${word()}"}`)}.${base64(`{"sub":"${word()}"}`)}.${
      base64(word() + word())
    }`;
    const opaque = word("abcdefABCDEF0123456789");
    const password = `${word()} ${word()}"\\${word()}`;
    const name = `${word("ABCDEFé")} ${word("abcdefő")}`;
    const places: [secret: string, put: () => string][] = [
      [email, () => `{"lot_code":"L","notes":"call ${email}, or not"}`],
      [email, () => `{"${email}":{"deep":[[["${email}"]]]}}`],
      [email, () => `email=${encodeURIComponent(email)}`],
      [email, () => JSON.stringify({ a: JSON.stringify({ b: JSON.stringify({ c: email }) }) })],
      [token, () => `{"lot_code":"${token}"}`],
      [token, () => `say ${token}`],
      [opaque, () => `{"error":"Bearer ${opaque} is no token"}`],
      [opaque, () => `x-api-key: ${opaque}`],
      [
        password,
        () => JSON.stringify({ password, again: [`so: ${password}`], metadata: password }),
      ],
      [password, () => JSON.stringify({ credentials: { user: { pass: password } } })],
      [password, () => JSON.stringify({ email, password }).slice(0, -1)],
      [name, () => JSON.stringify({ user: { full_name: name }, notes: `by ${name}` })],
      [name, () => JSON.stringify({ digital_signature: name, n: 540.5, names: [name, name] })],
      [name, () => `full_name: ${name}; lot L`],
      [email, () => "x ".repeat(3_990) + email],
      [email, () => JSON.stringify({ pad: "x".repeat(270_000), email })],
    ];
    const [secret, put] = pick(places);
    const body = put();
    const query = pick([
      ["", ""],
      [email, `?q=${encodeURIComponent(email)}`],
      [email, `?q=${encodeURIComponent(encodeURIComponent(email))}`],
      [opaque, `?access_token=${opaque}`],
      [password, `?password=${encodeURIComponent(password)}`],
      [email, `/${email}`],
    ]);
    const header = pick<[string, string, string]>([
      ["", "accept", "*/*"],
      [opaque, "authorization", `Bearer ${opaque}`],
      [opaque, "Cookie", `a=1; session=${opaque}`],
      [token, "x-odd", `is ${token}`],
      [email, "from", `Somebody <${email}>`],
      [password, "X-Password", encodeURIComponent(password)],
    ]);
    const packed = random() < 0.2;
    yield {
      secrets: [secret, query[0] ?? "", header[0]].filter((one) => one !== ""),
      request: {
        method: "POST",
        target: `/api/lots${query[1]}`,
        headers: [[header[1], header[2]], ...packed ? [["content-encoding", "gzip"] as const] : []],
        body: packed ? new Uint8Array(gzipSync(body)) : bytesOf(body),
      },
    };
  }
}

Deno.test("of 500 odd exchanges no secret stays, in whatever spelling, and once more changes nothing", () => {
  for (const { secrets, request } of oddExchanges(500)) {
    const clean = redactor.request(request);
    const shown = `${clean.target}\n${JSON.stringify(clean.headers)}\n${textOf(clean)}`;
    for (const secret of secrets) {
      const spelled = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
      // Half of a secret is one too.
      spelled.push(secret.slice(0, Math.ceil(secret.length / 2)), secret.slice(-6));
      for (const one of spelled) {
        ok(!shown.includes(one), `${one} of ${secret} stays in ${shown.slice(0, 600)}`);
      }
    }
    deepStrictEqual(redactor.request(clean), clean);
    ok(clean.body.length <= 300_000);
  }
});

/** Linear, it takes less than a second; quadratic, it takes minutes. */
const QUADRATIC_MS = 60_000;

Deno.test("text that would take a pattern for ever is dealt with", () => {
  const began = performance.now();
  for (const part of ["@", "a@", "eyJ", "eyJ-", "a: ", "password", '"a":', "%25", " ", "\\"]) {
    redactor.text(JSON.stringify(part.repeat(200_000 / part.length)));
    redactor.request(captured("GET", `/x?${part.repeat(50_000)}`, part.repeat(100_000), []));
  }
  ok(performance.now() - began < QUADRATIC_MS);
});
