import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { parse } from "yaml";
import { hashPassword } from "../auth/password_work.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { REQUIRED } from "../testing/api.ts";
import { chromiumForTests } from "../testing/chromium.ts";
import { openReference } from "../testing/reference_page.ts";

/* The page at /docs in Chromium, with a service that needs a token. */

interface Operation {
  readonly operationId: string;
  readonly responses: Record<string, unknown>;
}

const contract = parse(await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url)));
const operations = Object.values<Record<string, Operation>>(contract.paths)
  .flatMap((item) => Object.entries(item).map(([method, operation]) => ({ method, operation })));

const { api, sql } = await apiOnSeed(REQUIRED);
const browser = await chromiumForTests();
// That of the contract's example of a login.
await sql`
  update auth.users set encrypted_password = ${await hashPassword(
  "correct horse battery staple",
  4,
)} where id = (select id from users where email = 'admin@flowviz.com')`;

const PHONE = { viewport: { width: 360, height: 740 } };
const DESKTOP = { viewport: { width: 1280, height: 800 } };

/** A page with everything open, for tests that only look at it. */
const everything = await openReference(browser, api.url, PHONE);
await everything.send(await everything.open("login"));
await everything.openAll();

Deno.test("the page requests nothing of another server, with everything open", async () => {
  strictEqual(await everything.page.locator(".operation[open]").count(), operations.length);
  const origins = new Set(everything.requested.map((address) => new URL(address).origin));
  // That of the empty icon, `data:,`.
  origins.delete("null");
  deepStrictEqual([...origins], [api.url]);
  deepStrictEqual(everything.complaints, []);
});

Deno.test("the policy stops what a program of another server would need", async () => {
  await using reference = await openReference(browser, api.url);
  const { page } = reference;
  const outcome = await page.evaluate(`(async () => {
    const script = document.createElement("script");
    script.textContent = "document.title = 'inline'";
    document.body.append(script);
    const fetched = await fetch("http://other.example/").catch(() => "refused");
    return [document.title, fetched];
  })()`);
  deepStrictEqual(outcome, ["Lotline API", "refused"]);
  ok(reference.complaints.some((text) => text.includes("script-src 'self'")));
  ok(reference.complaints.some((text) => text.includes("connect-src 'self'")));
});

Deno.test("each POST succeeds twice, with a fresh Idempotency-Key each time", async (t) => {
  await using reference = await openReference(browser, api.url);
  const posts = operations.filter(({ method }) => method === "post");
  const keys: string[] = [];
  reference.page.on("request", (request) => {
    const key = request.headers()["idempotency-key"];
    if (key !== undefined) keys.push(key);
  });
  for (const { operation: { operationId } } of posts) {
    await t.step(operationId, async () => {
      keys.length = 0;
      // A logout ends the token.
      for (const turn of [1, 2]) {
        if (turn === 1 || operationId === "logout") {
          await reference.send(await reference.open("login"));
        }
        const operation = await reference.open(operationId);
        const body = operation.getByLabel("Body application/json", { exact: false });
        if (operationId === "createLot") {
          await body.fill(JSON.stringify({ lot_code: `DOCS-${turn}`, weight_kg: "12.50" }));
        }
        match(await reference.send(operation), /^20[0-4]$/);
      }
      strictEqual(new Set(keys).size, operationId === "login" ? 0 : 2);
    });
  }
  deepStrictEqual(reference.complaints, []);
});

Deno.test("a key that a person typed stays, and repeats the request", async () => {
  await using reference = await openReference(browser, api.url);
  await reference.send(await reference.open("login"));
  const operation = await reference.open("createLot");
  const key = operation.getByLabel("Idempotency-Key");
  const made = await key.inputValue();
  match(made, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await key.fill("my-own");
  await operation.getByLabel("Body").fill('{"lot_code": "DOCS-OWN-KEY"}');
  for (const replayed of [false, true]) {
    strictEqual(await reference.send(operation), "201");
    await operation.getByText("Headers of the response").click();
    const headers = await operation.getByLabel("Headers of the response").textContent() ?? "";
    strictEqual(headers.includes("idempotency-replayed: true"), replayed);
    strictEqual(await key.inputValue(), "my-own");
  }
});

Deno.test("a request without a response, or with a 5xx, keeps its key: it may have had its effect", async () => {
  await using reference = await openReference(browser, api.url);
  await reference.send(await reference.open("login"));
  const operation = await reference.open("createAudit");
  const key = operation.getByLabel("Idempotency-Key");
  const made = await key.inputValue();
  await reference.page.context().setOffline(true);
  await operation.getByRole("button", { name: "Send" }).click();
  await operation.getByText("No response.").waitFor();
  strictEqual(await key.inputValue(), made);
  await reference.page.context().setOffline(false);
  const failure = { status: 503, json: { error: "The database is away" } };
  await reference.page.route("**/api/audits", (route) => route.fulfill(failure), { times: 1 });
  strictEqual(await reference.send(operation), "503");
  strictEqual(await key.inputValue(), made);
  strictEqual(await reference.send(operation), "202");
  notStrictEqual(await key.inputValue(), made);
});

Deno.test("a call needs the token, which a person types or a login fills in", async () => {
  await using reference = await openReference(browser, api.url);
  const { page } = reference;
  const operation = await reference.open("getTraceability");
  strictEqual(await reference.send(operation), "401");
  const login = await api.post("/api/login", {
    email: "admin@flowviz.com",
    password: "correct horse battery staple",
  });
  await page.getByLabel("Token", { exact: true }).fill(login.json.token);
  strictEqual(await reference.send(operation), "200");
  const body = await operation.getByLabel("Body of the response").textContent() ?? "";
  deepStrictEqual(
    JSON.parse(body),
    (await api.get("/api/traceability/MIX-BATCH-88", {
      authorization: `Bearer ${login.json.token}`,
    })).json,
  );
  await page.getByLabel("Token", { exact: true }).fill("");
  strictEqual(await reference.send(operation), "401");
  await reference.send(await reference.open("login"));
  strictEqual(await reference.send(operation), "200");
});

Deno.test("every status of every operation is shown, errors too", async () => {
  for (const { operation: { operationId, responses } } of operations) {
    const shown = everything.page.locator(`#${operationId} .response`);
    const statuses = await shown.evaluateAll((all) =>
      all.map((one) => [
        one.getAttribute("data-status"),
        one.querySelector("summary")?.checkVisibility(),
      ])
    );
    deepStrictEqual(statuses, Object.keys(responses).map((status) => [status, true]), operationId);
  }
});

Deno.test("a request is copied as curl and in four languages", async () => {
  await using reference = await openReference(browser, api.url, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const { page } = reference;
  const operation = await reference.open("createLot");
  await operation.getByLabel("Body").fill('{"lot_code": "DOCS-COPIED"}');
  const choice = operation.getByLabel("As code");
  const names = await choice.locator("option").allTextContents();
  deepStrictEqual(names, ["curl", "JavaScript", "Python", "Go", "Java"]);
  const key = operation.getByLabel("Idempotency-Key");
  for (const name of names) {
    const used = await key.inputValue();
    await choice.selectOption(name);
    await operation.getByRole("button", { name: "Copy" }).click();
    await operation.getByText("Copied.").waitFor();
    const copied = await page.evaluate<string>("navigator.clipboard.readText()");
    for (const part of [api.url, "DOCS-COPIED", used]) {
      ok(copied.includes(part), `${name}: ${part}`);
    }
    notStrictEqual(await key.inputValue(), used, "the next copy is another request");
  }
});

Deno.test("without a clipboard, as without TLS, the older command copies", async () => {
  await using reference = await openReference(browser, api.url);
  const { page } = reference;
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  const operation = await reference.open("getHealth");
  await operation.getByRole("button", { name: "Copy" }).click();
  await operation.getByText("Copied.").waitFor();
  const selected = await page.evaluate("getSelection().toString().trim()");
  strictEqual(selected, `curl '${api.url}/api/health'`);
});

Deno.test("an address names an operation, which opens", async () => {
  await using reference = await openReference(browser, api.url, PHONE);
  const { page } = reference;
  await page.goto(`${api.url}/docs#createAudit`);
  await page.locator("#createAudit").getByRole("button", { name: "Send" }).waitFor();
  await page.locator("nav summary").click();
  await page.locator("nav").getByText("getHealth").click();
  await page.locator("#getHealth").getByRole("button", { name: "Send" }).waitFor();
});

Deno.test("the keyboard alone opens an operation and sends its request", async () => {
  await using reference = await openReference(browser, api.url);
  const { page } = reference;
  await page.locator("#getHealth > summary").focus();
  await page.keyboard.press("Enter");
  const send = page.locator("#getHealth").getByRole("button", { name: "Send" });
  await send.waitFor();
  await page.keyboard.press("Tab");
  ok(await send.evaluate((button) => button.matches(":focus")));
  await page.keyboard.press("Enter");
  await page.locator("#getHealth").getByText("200 OK").waitFor();
});

Deno.test("nothing is wider than a page of 360 px, with everything open", async () => {
  const { page } = everything;
  strictEqual(await page.locator("html").evaluate((html) => html.scrollWidth), 360);
  const wider = await page.locator("body *").evaluateAll((all) =>
    all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > 360)
      .map((one) => one.outerHTML.slice(0, 100))
  );
  deepStrictEqual(wider.filter((html) => !html.includes('class="skip"')), []);
});

Deno.test("schemas that contain themselves are shown", async () => {
  const tree = (items: unknown) => ({
    type: "object",
    properties: { value: { $ref: "#/components/schemas/Any" }, children: { type: "array", items } },
  });
  const schemas = {
    Tree: tree({ $ref: "#/components/schemas/Tree" }),
    Any: { anyOf: [{ type: "string" }, { $ref: "#/components/schemas/AnyList" }] },
    AnyList: { type: "array", items: { $ref: "#/components/schemas/Any" } },
  };
  const content = { "application/json": { schema: { $ref: "#/components/schemas/Tree" } } };
  const responses = { "200": { description: "A tree.", content } };
  const get = { operationId: "getTree", tags: ["Trees"], responses };
  await using context = await browser.newContext();
  const page = await context.newPage();
  const json = {
    info: { version: "1", summary: "Trees." },
    tags: [{ name: "Trees" }],
    paths: { "/tree": { get } },
    components: { schemas },
  };
  await page.route("**/openapi.json", (route) => route.fulfill({ json }));
  await page.goto(`${api.url}/docs`);
  await page.locator("#getTree > summary").click();
  await page.locator("#getTree .response > summary").click();
  const fields = page.locator("#getTree .fields > li");
  deepStrictEqual(await fields.allTextContents(), [
    "value string or AnyList, not always",
    "children array of Tree, not always",
  ]);
});

/** What axe finds, in every rule that it has. */
async function findFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

for (
  const { name, ...options } of [
    { name: "a phone, light", ...PHONE, colorScheme: "light" as const },
    { name: "a desktop, dark", ...DESKTOP, colorScheme: "dark" as const },
  ]
) {
  Deno.test(`axe finds no fault: ${name}`, async () => {
    await using reference = await openReference(browser, api.url, options);
    const { page } = reference;
    await reference.send(await reference.open("login"));
    const operation = await reference.open("createDeepTrace");
    await reference.send(operation);
    const closed = operation.locator("details:not([open])");
    await closed.evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
    deepStrictEqual(await findFaults(page), []);
  });
}
