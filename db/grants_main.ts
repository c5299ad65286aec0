/**
 * `deno task grants`: the database's users of the API, the worker and the gateway, with the rights that
 * each needs. It prints the statements; `--apply` executes them.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { RefusedError, runMain, UsageError } from "../command_line.ts";
import { readSettings } from "../config.ts";
import { sentenceOf } from "../terminal.ts";
import { withUser } from "./address_parts.ts";
import { GrantsSettings } from "./config.ts";
import { type DirectAddress, directAddress, DirectAddressError } from "./direct_address.ts";
import { applyGrants, GrantsError, grantsOf, nameProblem, type Role } from "./grants.ts";
import { API_RIGHTS, readGatewayRights, WORKER_RIGHTS } from "./rights.ts";

const USAGE = `usage: deno task grants DATABASE [options]     prints the SQL for this database
       deno task grants --apply [options]      executes it at DATABASE_URL, as the tables' owner
  --api NAME       the API's user; lotline_api by default
  --worker NAME    the worker's; lotline_worker by default
  --gateway NAME   the gateway's; lotline_gateway by default
  --only PROGRAM   one of api, worker, gateway; can be repeated
  --env FOLDER     with --apply: writes the addresses of new users into api.env, …, instead
A user that exists keeps its password. --apply makes the others, and shows their addresses once.`;

const TEXT = { type: "string" } as const;
const OPTIONS = {
  apply: { type: "boolean" },
  api: TEXT,
  worker: TEXT,
  gateway: TEXT,
  only: { type: "string", multiple: true },
  env: TEXT,
} as const;

let address: DirectAddress | undefined;
await runMain({
  task: "grants",
  usage: USAGE,
  settings: [GrantsSettings],
  exit: "0 done; 1 refused or failed, and nothing was changed; 2 wrong usage or settings",
  told: [GrantsError, DirectAddressError],
  setting: () => address?.setting,
}, async () => {
  const { values, positionals: [database, ...others] } = readArguments();
  const { apply = false, env: folder } = values;
  if (others.length > 0 || (database === undefined) !== apply) throw new UsageError();
  if (folder !== undefined && !apply) throw new UsageError();
  const roles = await rolesOf(values);
  if (database !== undefined) {
    mustBeName(database);
    console.log(roles.map((role) => grantsOf(role, database)).join("\n\n"));
    return;
  }
  const environment = Deno.env.toObject();
  address = directAddress(readSettings(GrantsSettings, environment));
  const made = await applyGrants(address.url, roles);
  for (const { program, name, owner } of roles) {
    const password = made.find((one) => one.name === name)?.password;
    if (password === undefined) {
      console.log(`${name} has the rights of ${owner}`);
      continue;
    }
    const newAddress = withUser(environment.DATABASE_URL ?? "", name, password);
    const file = folder === undefined ? undefined : join(folder, `${program}.env`);
    const isWritten = file !== undefined && await writeNew(file, newAddress);
    console.log(
      `${name} is new and has the rights of ${owner}: ${
        isWritten ? `its address is in ${file}` : newAddress
      }`,
    );
  }
});

/** Writes the setting into a file for its owner alone; false when the file exists or can't be made. */
async function writeNew(file: string, address: string): Promise<boolean> {
  try {
    const text = `DATABASE_URL='${address}'\n`;
    await Deno.writeTextFile(file, text, { createNew: true, mode: 0o600 });
    return true;
  } catch (error) {
    // The password is nowhere else, so it is shown.
    console.error(`${file} can't be written: ${sentenceOf(error)}`);
    return false;
  }
}

interface RoleOfProgram extends Role {
  readonly program: string;
}

async function rolesOf(
  { only, ...names }: ReturnType<typeof readArguments>["values"],
): Promise<readonly RoleOfProgram[]> {
  const gateway = await readGatewayRights();
  const all = [
    { program: "api", owner: "the API", rights: API_RIGHTS },
    { program: "worker", owner: "the worker", rights: WORKER_RIGHTS },
    ...(gateway === undefined
      ? []
      : [{ program: "gateway", owner: "the gateway", rights: gateway }] as const),
  ] as const;
  const unknown = only?.find((name) => !all.some(({ program }) => program === name));
  if (unknown !== undefined) throw new UsageError(`${USAGE}\n\nThere is no program ${unknown}`);
  const roles = all.filter(({ program }) => only?.includes(program) ?? true)
    .map(({ program, owner, rights }) => ({
      program,
      name: names[program] ?? `lotline_${program}`,
      owner,
      rights,
    }));
  for (const { name } of roles) mustBeName(name);
  return roles;
}

function mustBeName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new RefusedError(`${JSON.stringify(name)}: ${problem}`);
}

function readArguments() {
  try {
    return parseArgs({ args: Deno.args, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw new UsageError(`${USAGE}\n\n${sentenceOf(error)}`);
  }
}
