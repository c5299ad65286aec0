/**
 * `deno task user`: accounts, for operators. Passwords are typed hidden or come from standard
 * input, never as arguments: the shell's history and the process list show those.
 *
 * @module
 */

import { read } from "read";
import { z } from "zod";
import {
  type CommandForm,
  type Program,
  readCommand,
  RefusedError,
  runMain,
  textOption,
  type Typed,
  usageOf,
} from "../command_line.ts";
import { connectValkey } from "../cache/valkey.ts";
import { readSettings } from "../config.ts";
import * as accounts from "../db/accounts.ts";
import { connect } from "../db/connect.ts";
import { type DirectAddress, directAddress } from "../db/direct_address.ts";
import type { Sql } from "../db/sql.ts";
import { columns, printable } from "../terminal.ts";
import { ROLES } from "./access.ts";
import { auditAccounts, summaryOf } from "./account_audit.ts";
import { UserSettings } from "./config.ts";
import { hashPassword } from "./password_work.ts";
import { publishRevocation } from "./revocation_stream.ts";
import { MAX_PASSWORD_BYTES } from "./typed_password.ts";
import { untilUsable } from "./until_usable.ts";

/** NIST SP 800-63B. */
const MIN_CHARACTERS = 8;

interface Deps {
  readonly sql: Sql;
  /** Announces that the account's tokens from before `tokensFrom`, in s since 1970, have ended. */
  publish(userId: string, disabled: boolean, tokensFrom: number): Promise<void>;
}

interface Command extends CommandForm {
  /** Returns the exit status; 0 by default. */
  run(deps: Deps, typed: Typed): Promise<number | void>;
}

const COMMANDS: Record<string, Command> = {
  list: {
    usage: "",
    does: "all accounts",
    async run({ sql }) {
      const rows = (await accounts.listAccounts(sql)).map((account) => [
        account.email,
        account.id,
        account.role ?? "none",
        account.encryptedPassword ? "yes" : "no",
        account.disabled ? "disabled" : "active",
        account.lastLogin ?? "never",
        account.fullName ?? "",
      ]);
      const head = ["email", "id", "role", "password", "state", "last login", "name"];
      console.log(columns(head, rows));
    },
  },
  audit: {
    usage: "",
    does: "accounts that AUTH_MODE=required would lock out or mix up",
    async run({ sql }) {
      const all = await accounts.listAccounts(sql);
      const findings = auditAccounts(all);
      if (findings.length === 0) {
        console.log("Every account has a password and a role of its own.");
        return 0;
      }
      for (const { email, id, what } of findings) {
        console.log(`${printable(email)}  ${id}  ${what}`);
      }
      const summary = summaryOf(all);
      if (summary !== undefined) console.log(summary);
      return 1;
    },
  },
  add: {
    usage: "EMAIL [--name NAME] --role ROLE",
    does: "makes an account",
    words: [1, 1],
    options: { name: { type: "string" }, role: { type: "string" } },
    async run({ sql }, typed) {
      const [email = ""] = typed.words;
      const role = textOption(typed, "role") ?? "";
      mustBeEmail(email);
      mustBeRole(role);
      const [there] = await accounts.listAccountsNamed(sql, email);
      if (there !== undefined) throw new RefusedError(`There is an account ${email} already`);
      const id = await accounts.insertAccount(sql, {
        id: crypto.randomUUID(),
        email,
        fullName: textOption(typed, "name") ?? null,
        role,
        encryptedPassword: await hashPassword(await promptPassword(email)),
      });
      console.log(`made ${email} (${id}), ${role}`);
    },
  },
  password: {
    usage: "ACCOUNT",
    does: "sets a new password",
    words: [1, 1],
    async run({ sql, publish }, { words: [named = ""] }) {
      const { id, email, disabled } = await theAccount(sql, named);
      const hash = await hashPassword(await promptPassword(email));
      await publish(id, disabled, await accounts.setPasswordHash(sql, id, hash));
      console.log(`${email} has a new password; its tokens end`);
    },
  },
  role: {
    usage: "ACCOUNT ROLE",
    does: "sets its role",
    words: [2, 2],
    async run({ sql, publish }, { words: [named = "", role = ""] }) {
      mustBeRole(role);
      const { id, email, disabled } = await theAccount(sql, named);
      await publish(id, disabled, await accounts.setRole(sql, id, role));
      console.log(`${email} is ${role}; its tokens end`);
    },
  },
  disable: {
    usage: "ACCOUNT",
    does: "it can't log in, and its tokens end; also for the id of an account that was deleted",
    words: [1, 1],
    async run({ sql, publish }, { words: [named = ""] }) {
      const { id, email } = await theAccountOrId(sql, named);
      await publish(id, true, await accounts.setDisabled(sql, id, true));
      console.log(
        email === undefined
          ? `There is no account ${id} now; the tokens of that id end, and it can't log in if it comes back`
          : `${email} is disabled; its tokens end`,
      );
    },
  },
  enable: {
    usage: "ACCOUNT",
    does: "it can log in again",
    words: [1, 1],
    async run({ sql, publish }, { words: [named = ""] }) {
      const { id, email } = await theAccount(sql, named);
      await publish(id, false, await accounts.setDisabled(sql, id, false));
      console.log(`${email} can log in again`);
    },
  },
};

const PROGRAM: Program<Command> = {
  start: "DATABASE_URL=… [VALKEY_URL=…] deno task user",
  commands: COMMANDS,
  notes: `ACCOUNT is an email or an id; ROLE is one of ${ROLES.join(" ")}.
A password is typed at a prompt, or read as one line from standard input when that is no terminal.`,
};

let address: DirectAddress | undefined;
await runMain({
  task: "user",
  usage: usageOf(PROGRAM),
  settings: [UserSettings],
  exit: "0 done; 1 refused, failed, or the audit has found something; 2 wrong usage or settings",
  setting: () => address?.setting,
}, async () => {
  const { command, typed } = readCommand(PROGRAM, Deno.args);
  const settings = readSettings(UserSettings, Deno.env.toObject());
  const { VALKEY_URL, VALKEY_CA_FILE: caFile } = settings;
  address = directAddress(settings);
  const sql = connect({ url: address.url, max: 1, name: "lotline-user" });
  const valkey = VALKEY_URL === undefined
    ? undefined
    : connectValkey(VALKEY_URL, () => {}, { caFile });
  try {
    const publish: Deps["publish"] = async (userId, disabled, tokensFrom) => {
      // Without Valkey the other processes read the change from PostgreSQL within 3 s.
      await untilUsable(valkey);
      await publishRevocation(valkey, { kind: "account", userId, disabled, tokensFrom });
    };
    return await command.run({ sql, publish }, typed);
  } finally {
    valkey?.close();
    await sql.end({ timeout: 1 });
  }
});

async function theAccount(sql: Sql, named: string): Promise<accounts.Account> {
  const [account, ...others] = await accounts.listAccountsNamed(sql, named);
  if (account === undefined) throw new RefusedError(`There is no account ${named}`);
  if (others.length === 0) return account;
  const ids = [account, ...others].map(({ id }) => id);
  throw new RefusedError(
    `There are several accounts ${named}: name one by its id, ${ids.join(" ")}`,
  );
}

/** An id needs no account: the account may have been deleted, and its tokens still be valid. */
async function theAccountOrId(
  sql: Sql,
  named: string,
): Promise<{ readonly id: string; readonly email?: string }> {
  const isKnown = (await accounts.listAccountsNamed(sql, named)).length > 0;
  const id = z.guid().safeParse(named).data?.toLowerCase();
  return isKnown || id === undefined ? await theAccount(sql, named) : { id };
}

function mustBeRole(text: string): void {
  if (ROLES.some((role) => role === text)) return;
  throw new RefusedError(`A role is one of ${ROLES.join(" ")}`);
}

function mustBeEmail(text: string): void {
  if (/^[^\s@\0]+@[^\s@\0]+$/.test(text)) return;
  throw new RefusedError(`${JSON.stringify(text)} is no email`);
}

/**
 * Reads a new password: typed twice and hidden at a terminal, otherwise the first line of standard
 * input. It is composed (NFC), whatever the keyboard sends; a login tries that form too.
 *
 * @param whose the account that the prompt names
 * @throws {RefusedError} too short, too long, or not the same twice
 */
async function promptPassword(whose: string): Promise<string> {
  const isTerminal = Deno.stdin.isTerminal();
  const password = (isTerminal ? await typed(`New password of ${whose}:`) : await firstLine())
    .normalize("NFC");
  const problem = problemOf(password);
  if (problem !== undefined) throw new RefusedError(problem);
  if (isTerminal && (await typed("Once more:")).normalize("NFC") !== password) {
    throw new RefusedError("The two are not the same; nothing was changed");
  }
  return password;
}

function problemOf(password: string): string | undefined {
  // Code points, which is what people count.
  if ([...password].length < MIN_CHARACTERS) {
    return `A password has at least ${MIN_CHARACTERS} characters`;
  }
  if (new TextEncoder().encode(password).length > MAX_PASSWORD_BYTES) {
    return `A password has at most ${MAX_PASSWORD_BYTES} bytes`;
  }
  // JSON and terminals each treat these characters in their own way, and a login with them is
  // refused.
  if (/\p{Cc}|\p{Cs}|\ufffd/u.test(password)) return "A password has no control characters";
  return undefined;
}

async function typed(prompt: string): Promise<string> {
  try {
    return await read({ prompt, silent: true });
  } catch (cause) {
    throw new RefusedError("Stopped; nothing was changed", { cause });
  } finally {
    // The prompt hides the typed line break too.
    console.log();
  }
}

async function firstLine(): Promise<string> {
  const text = await new Response(Deno.stdin.readable).text();
  return text.split(/\r?\n/, 1)[0] ?? "";
}
