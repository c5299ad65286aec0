import { deepStrictEqual, ok } from "node:assert/strict";
import { join } from "node:path";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { type SampleRequest, SAMPLES } from "./code_samples.js";

/* Each sample is run, and a server notes what it sends. */

const BODY = JSON.stringify(
  {
    lot_code: `It's "X\\1" \`\${a}\` $HOME €`,
    weight_kg: "12.50",
    metadata: { text: "three \"\"\" ''' \u0001 \n", empty: "" },
  },
  null,
  2,
);

const REQUESTS: Readonly<Record<string, Omit<SampleRequest, "url">>> = {
  "a POST": {
    method: "POST",
    headers: [["Idempotency-Key", `"it's"`], ["Content-Type", "application/json"]],
    hasToken: true,
    body: BODY,
  },
  "a POST without a body": {
    method: "POST",
    headers: [["Idempotency-Key", "k"]],
    hasToken: true,
    body: undefined,
  },
  "a GET": { method: "GET", headers: [], hasToken: false, body: undefined },
  "a body that is no JSON": {
    method: "POST",
    headers: [["Content-Type", "application/json"]],
    hasToken: false,
    body: 'a "quoted \\"',
  },
};

/** How a sample becomes a run program, by its language. Each run of a compiler takes seconds. */
const RUNS: Readonly<Record<string, { file: string; command: string[]; only?: string[] }>> = {
  curl: { file: "sample.sh", command: ["sh", "sample.sh"] },
  JavaScript: { file: "sample.mjs", command: ["node", "sample.mjs"] },
  Python: { file: "sample.py", command: ["python3", "sample.py"] },
  Go: { file: "sample.go", command: ["go", "run", "sample.go"], only: ["a POST", "a GET"] },
  Java: { file: "Example.java", command: ["java", "Example.java"], only: ["a POST"] },
};

Deno.test("every sample has a test that runs it", () => {
  deepStrictEqual(Object.keys(SAMPLES), Object.keys(RUNS));
});

for (const [language, { file, command: [program = "", ...args], only }] of Object.entries(RUNS)) {
  const has = await isThere(language === "curl" ? "curl" : program);
  Deno.test({
    name: `${language} sends the request that the form has${has ? "" : " (skipped: not here)"}`,
    ignore: !has,
    async fn(t) {
      await using folder = await temporaryFolder();
      await using server = startRecorder();
      for (const [name, request] of Object.entries(REQUESTS)) {
        if (only?.includes(name) === false) continue;
        await t.step(name, async () => {
          const url = `${server.url}/api/lots/a%20b?limit=1&x=%27`;
          await Deno.writeTextFile(
            join(folder.path, file),
            SAMPLES[language]?.({ ...request, url }) ?? "",
          );
          const printed = await run(program, args, folder.path);
          const { method, headers, hasToken, body = "" } = request;
          const { headers: sent, ...rest } = server.received.splice(0)[0] ?? { headers: undefined };
          deepStrictEqual(rest, { method, path: "/api/lots/a%20b?limit=1&x=%27", body });
          for (const [name, value] of headers) deepStrictEqual(sent?.get(name), value);
          deepStrictEqual(sent?.get("authorization"), hasToken ? "Bearer t0.k-e_n" : null);
          ok(printed.includes("Lot code A is taken"), printed);
          ok(language === "curl" || printed.startsWith("409 "), printed);
        });
      }
    },
  });
}

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A server that notes its requests, and refuses them. */
function startRecorder() {
  const received: Received[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { method, url, headers } = request;
    const { pathname, search } = new URL(url);
    received.push({ method, path: pathname + search, headers, body: await request.text() });
    return Response.json({ error: "Lot code A is taken" }, { status: 409 });
  });
  return {
    received,
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { LOTLINE_TOKEN: "t0.k-e_n" },
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

async function isThere(program: string): Promise<boolean> {
  const args = [program === "go" ? "version" : "--version"];
  return await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
}
