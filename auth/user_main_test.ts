import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connectValkey } from "../cache/valkey.ts";
import { freePort } from "../dev/free_port.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { taskOutput } from "../testing/task_output.ts";
import { costOf, runTask } from "./password_work.ts";
import { createRevocationReader } from "./revocation_stream.ts";
import { insertAccount } from "../testing/accounts.ts";

const PROJECT = new URL("..", import.meta.url);
const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

const isPasswordOf = async (password: string, row: Row | undefined) =>
  await runTask({ password, hash: row?.hash ?? "", cost: 4 });

/** Runs `deno task user` with these arguments and this standard input. */
const user = (words: string[], input = "", environment: Record<string, string> = {}) =>
  taskOutput(["user", ...words], { DATABASE_URL: database.url, ...environment }, input);

const PASSWORD = "correct horse battery";

interface Row {
  readonly email: string;
  readonly full_name: string | null;
  readonly role: string | null;
  readonly hash: string | null;
  readonly is_disabled: boolean;
  readonly tokens_from: number | null;
}

async function rowOf(id: string): Promise<Row | undefined> {
  const [row] = await sql<Row[]>`
    select users.email, full_name, role, encrypted_password as hash,
      disabled_at is not null as is_disabled,
      extract(epoch from tokens_from)::float8 as tokens_from
    from users join auth.users secret using (id)
    left join lotline.accounts on user_id = users.id
    where users.id = ${id}`;
  return row;
}

const newAccount = (email?: string) => insertAccount(sql, email === undefined ? {} : { email });

/** The account's earlier tokens have ended, and those from now on are valid. */
function tokensEnded(row: Row | undefined): void {
  const seconds = (row?.tokens_from ?? 0) - Date.now() / 1000;
  ok(seconds > -30 && seconds < 3, `${seconds} s from now`);
}

Deno.test("add makes an account with the password from standard input", async () => {
  const email = "new@plant.example";
  const { code, output, error } = await user(
    ["add", email, "--name", "Ágnes Kiss", "--role", "OPERATOR"],
    `${PASSWORD}\nnot this line\n`,
  );
  deepStrictEqual([code, error], [0, ""]);
  const id = /\(([0-9a-f-]{36})\), OPERATOR$/.exec(output)?.[1] ?? "";
  const row = await rowOf(id);
  deepStrictEqual([row?.email, row?.full_name, row?.role], [email, "Ágnes Kiss", "OPERATOR"]);
  strictEqual(costOf(row?.hash ?? null), 12);
  strictEqual(await isPasswordOf(PASSWORD, row), true);

  const again = await user(["add", email, "--role", "VIEWER"], PASSWORD);
  deepStrictEqual([again.code, again.error], [1, `There is an account ${email} already`]);
});

Deno.test("add takes over a row that another system made in auth.users", async () => {
  const id = crypto.randomUUID();
  await sql`insert into auth.users (id, email) values (${id}, 'hosted@plant.example')`;
  const { code, output } = await user(["add", "hosted@plant.example", "--role", "ADMIN"], PASSWORD);
  deepStrictEqual([code, output], [0, `made hosted@plant.example (${id}), ADMIN`]);
  strictEqual(await isPasswordOf(PASSWORD, await rowOf(id)), true);
});

Deno.test("password sets one, by email or id, and the account's tokens end", async () => {
  const { id, email } = await newAccount();
  for (const [named, password] of [[email, PASSWORD], [id.toUpperCase(), `${PASSWORD} é`]]) {
    const { code, output, error } = await user(["password", named ?? ""], `${password}\r\n`);
    deepStrictEqual([code, output, error], [0, `${email} has a new password; its tokens end`, ""]);
    const row = await rowOf(id);
    strictEqual(await isPasswordOf(password ?? "", row), true);
    tokensEnded(row);
  }
});

Deno.test("a password is stored in composed form, whatever keyboard it was typed on, and measured so", async () => {
  const { id, email } = await newAccount();
  // 90 bytes as typed, 60 as stored.
  for (const typed of ["pa\u0308sswo\u0308rter", "u\u0308".repeat(30), "\u212bngstro\u0308m"]) {
    strictEqual((await user(["password", email], `${typed}\n`)).code, 0, typed);
    const row = await rowOf(id);
    strictEqual(await isPasswordOf(typed.normalize("NFC"), row), true);
    if (new TextEncoder().encode(typed).length <= 72) {
      strictEqual(await isPasswordOf(typed, row), false);
    }
  }
});

Deno.test("a new password clears the mark that the old one was too long", async () => {
  const { id, email } = await newAccount();
  await sql`insert into lotline.long_passwords (user_id) values (${id})`;
  await user(["password", email], PASSWORD);
  const noted = await sql`select from lotline.long_passwords where user_id = ${id}`;
  strictEqual(noted.length, 0);
});

Deno.test("an unusable password is refused with the reason, is never shown, and changes nothing", async () => {
  const { id, email } = await newAccount();
  const cases: [input: string, why: RegExp][] = [
    ["", /at least 8 characters/],
    ["seven77\n", /at least 8 characters/],
    ["x".repeat(73), /at most 72 bytes/],
    ["é".repeat(37), /at most 72 bytes/],
    ["tab\tseparated", /no control characters/],
    ["nul\0separated", /no control characters/],
  ];
  for (const [input, why] of cases) {
    const { code, output, error } = await user(["password", email], input);
    deepStrictEqual([code, output], [1, ""]);
    match(error, why);
    ok(input.length < 8 || !error.includes(input));
    deepStrictEqual([(await rowOf(id))?.hash, (await rowOf(id))?.tokens_from], [null, null]);
  }
});

Deno.test("role changes the role, and the account's tokens, which name the old one, end", async () => {
  const { id, email } = await newAccount();
  const { code, output } = await user(["role", email, "MANAGER"]);
  deepStrictEqual([code, output], [0, `${email} is MANAGER; its tokens end`]);
  const row = await rowOf(id);
  strictEqual(row?.role, "MANAGER");
  tokensEnded(row);
  const unknown = await user(["role", email, "manager"]);
  deepStrictEqual([unknown.code, unknown.error], [
    1,
    "A role is one of ADMIN MANAGER AUDITOR OPERATOR VIEWER",
  ]);
});

Deno.test("disable and enable can be repeated; other changes leave a disabled account disabled", async () => {
  const { id, email } = await newAccount();
  for (let round = 0; round < 2; round++) {
    deepStrictEqual(
      (await user(["disable", email])).output,
      `${email} is disabled; its tokens end`,
    );
    strictEqual((await rowOf(id))?.is_disabled, true);
    tokensEnded(await rowOf(id));
  }
  await user(["role", email, "AUDITOR"]);
  strictEqual((await rowOf(id))?.is_disabled, true);
  deepStrictEqual((await user(["enable", email])).output, `${email} can log in again`);
  strictEqual((await rowOf(id))?.is_disabled, false);
  tokensEnded(await rowOf(id));
});

Deno.test("the running processes learn of every change that ends tokens", async () => {
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, () => {});
  try {
    await eventually("Valkey responds", () => valkey.isUsable());
    const news = createRevocationReader(valkey);
    await news();
    const { id } = await newAccount();
    const changes: [words: string[], disabled: boolean][] = [
      [["disable", id], true],
      [["role", id, "AUDITOR"], true],
      [["password", id], true],
      [["enable", id], false],
      [["password", id], false],
    ];
    for (const [words, disabled] of changes) {
      const { code } = await user(words, PASSWORD, { VALKEY_URL: own.server.url });
      strictEqual(code, 0);
      const tokensFrom = (await rowOf(id))?.tokens_from;
      deepStrictEqual(await news(), [{ kind: "account", userId: id, disabled, tokensFrom }]);
    }
  } finally {
    valkey.close();
  }
});

Deno.test("an unavailable Valkey blocks no command", async () => {
  const { id, email } = await newAccount();
  const { code, output } = await user(["disable", id], "", {
    VALKEY_URL: `redis://127.0.0.1:${freePort()}`,
  });
  deepStrictEqual([code, output], [0, `${email} is disabled; its tokens end`]);
});

Deno.test("an account that is missing or not unique is refused", async () => {
  const unknown = await user(["disable", "nobody@plant.example"]);
  deepStrictEqual([unknown.code, unknown.error], [1, "There is no account nobody@plant.example"]);
  const email = "shared@plant.example";
  const ids = [await newAccount(email), await newAccount(email)].map(({ id }) => id);
  const doubled = await user(["disable", email]);
  strictEqual(doubled.code, 1);
  for (const id of ids) ok(doubled.error.includes(id));
  deepStrictEqual((await user(["disable", ids[0] ?? ""])).code, 0);
});

Deno.test("disable accepts the id of a missing account: its tokens end", async () => {
  const { id } = await newAccount();
  await sql`delete from users where id = ${id}`;
  const disabled = await user(["disable", id.toUpperCase()]);
  deepStrictEqual(disabled, {
    code: 0,
    output:
      `There is no account ${id} now; the tokens of that id end, and it can't log in if it comes back`,
    error: "",
  });
  const [row] = await sql`select disabled_at from lotline.accounts where user_id = ${id}`;
  ok(row?.disabled_at);
  for (const words of [["disable", `${id}0`], ["enable", id], ["role", id, "ADMIN"]]) {
    const { code, error } = await user(words);
    deepStrictEqual([code, error], [1, `There is no account ${words[1]}`]);
  }
});

Deno.test("list shows every account, and no hash", async () => {
  const { id, email } = await newAccount();
  await user(["password", id], PASSWORD);
  const odd = await newAccount("odd\u001b[2J@plant.example");
  const { code, output } = await user(["list"]);
  strictEqual(code, 0);
  match(output, /^email +id +role +password +state +last login +name$/m);
  match(output, new RegExp(`^${email} +${id} +VIEWER +yes +active +never$`, "m"));
  match(output, new RegExp(`^odd\\?\\[2J@plant.example +${odd.id} +VIEWER +no +active`, "m"));
  ok(!output.includes("$2a$"));
});

Deno.test("any other command prints the usage and changes nothing", async () => {
  const { email } = await newAccount();
  const wrong = [
    [],
    ["remove", email],
    ["constructor"],
    ["password"],
    // A password as an argument must never be accepted.
    ["password", email, PASSWORD],
    ["add", "x@plant.example", PASSWORD, "--role", "ADMIN"],
    ["list", "--password", PASSWORD],
    ["disable", email, "--role", "ADMIN"],
    ["role", email],
  ];
  for (const words of wrong) {
    const { code, output, error } = await user(words, PASSWORD);
    deepStrictEqual([code, output], [2, ""], words.join(" "));
    match(error, /^usage: DATABASE_URL=… \[VALKEY_URL=…\] deno task user <command>/);
  }
  for (const words of [["add", "no-email", "--role", "ADMIN"], ["add", "x@plant.example"]]) {
    strictEqual((await user(words, PASSWORD)).code, 1, words.join(" "));
  }
});

Deno.test("a database that is missing or not migrated is reported in one line", async () => {
  const run = async (url: string) => {
    const { code, error } = await taskOutput(["user", "list"], { DATABASE_URL: url });
    return [code, error];
  };
  await using unmigrated = await freshDatabase();
  await unmigrated.sql`drop schema lotline cascade`;
  deepStrictEqual(await run(unmigrated.url), [
    1,
    'The database lacks Lotline\'s tables: run deno task migrate (relation "lotline.accounts" does not exist)',
  ]);
  deepStrictEqual((await run("mysql://x"))[0], 2);
});

Deno.test({
  name: "at a terminal the password is requested twice, and not shown",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { id, email } = await newAccount();
    for (const [second, code] of [["another one", 1], [PASSWORD, 0]] as const) {
      const seen = await atTerminal(["user", "password", email], [PASSWORD, second]);
      match(seen.screen, /New password of .*@plant\.example:/);
      match(seen.screen, /Once more:/);
      ok(!seen.screen.includes(PASSWORD) && !seen.screen.includes(second), seen.screen);
      strictEqual(seen.code, code, seen.screen);
      const isRight = await isPasswordOf(PASSWORD, await rowOf(id));
      strictEqual(isRight, code === 0);
    }
  },
});

/** Runs a task at its own terminal, and types each line when the task prompts for one. */
async function atTerminal(words: string[], lines: string[]) {
  const command = [Deno.execPath(), "task", "--quiet", ...words].join(" ");
  const process = new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", command, "/dev/null"],
    cwd: PROJECT,
    env: { DATABASE_URL: database.url, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  let screen = "";
  let requested = 0;
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    screen += text;
    const prompts = screen.match(/(?:New password of \S+|Once more):/g)?.length ?? 0;
    for (; requested < prompts; requested++) {
      await writer.write(new TextEncoder().encode(`${lines[requested]}\r`));
    }
  }
  await writer.close().catch(() => {});
  return { screen, code: (await process.status).code };
}
