import { z } from "zod";

/* The npm package `@lotline/client`, made and installed as a user of it would. */

const ROOT = new URL("../", import.meta.url);
const CLIENT = new URL("client/", ROOT);
const DIST = new URL("dist/", CLIENT);

/** The bundle for pages, which is made last. */
export const BUNDLE = new URL("client.min.js", DIST);

export const ClientPackage = z.looseObject({
  version: z.string(),
  dependencies: z.record(z.string(), z.string()),
  scripts: z.undefined().optional(),
});

/** Runs a program; throws with its output unless it went well. */
export async function runProgram(
  program: string,
  args: string[],
  cwd: string | URL,
): Promise<string> {
  const result = await new Deno.Command(program, {
    args,
    cwd,
    env: {
      NO_COLOR: "1",
      npm_config_offline: "true",
      npm_config_update_notifier: "false",
    },
  }).output();
  const text = new TextDecoder();
  const stdout = text.decode(result.stdout);
  if (result.success) return stdout;
  throw new Error(
    `${program} ${args.join(" ")}\n${stdout}${text.decode(result.stderr)}`,
  );
}

/** The major version of the Node that there is, or 0. */
export async function nodeVersion(): Promise<number> {
  const version = await runProgram("node", ["--version"], ROOT).catch(() => "v0");
  return Number(/^v(\d+)/.exec(version)?.[1]);
}

/** Makes `client/dist` unless it is newer than its sources. Safe in several processes at a time. */
export async function buildClient(): Promise<void> {
  using claim = await Deno.open(new URL("package.json", CLIENT));
  await claim.lock(true);
  const built = await modifiedAt(BUNDLE).catch(() => 0);
  if (
    built > Math.max(...await Promise.all((await sources()).map(modifiedAt)))
  ) return;
  await runProgram(Deno.execPath(), ["task", "--quiet", "client"], ROOT);
}

async function sources(): Promise<URL[]> {
  const paths = ["contract/types.gen.ts", "deno.json", "deno.lock"];
  for await (const { name, isFile } of Deno.readDir(CLIENT)) {
    if (isFile && !name.endsWith("_test.ts")) paths.push(`client/${name}`);
  }
  return paths.map((path) => new URL(path, ROOT));
}

async function modifiedAt(file: URL): Promise<number> {
  return (await Deno.stat(file)).mtime?.getTime() ?? 0;
}

/** A folder in which the packed package is installed. */
export interface Consumer extends AsyncDisposable {
  readonly folder: string;
  /** The package's own folder. */
  readonly installed: string;
  /** The packed package. */
  readonly archive: Uint8Array<ArrayBuffer>;
}

/** Packs the package as npm would publish it, and installs that. */
export async function installClient(): Promise<Consumer> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-client-" });
  const installed = `${folder}/node_modules/@lotline/client`;
  await buildClient();
  await runProgram("npm", ["pack", "--pack-destination", folder], CLIENT);
  const [archive = ""] = (await Array.fromAsync(Deno.readDir(folder))).map((
    { name },
  ) => name);
  await Deno.mkdir(`${folder}/package`);
  await runProgram("tar", ["xzf", archive], folder);
  // Its dependencies come from where Deno keeps its own, as no network is needed for those; npm may
  // never have seen them on this machine.
  const { dependencies } = ClientPackage.parse(
    JSON.parse(await Deno.readTextFile(`${folder}/package/package.json`)),
  );
  await Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify({ type: "module", dependencies }),
  );
  // Which versions there are, Deno may not have kept; the project's lockfile says it.
  await Deno.copyFile(new URL("deno.lock", ROOT), `${folder}/deno.lock`);
  await runProgram(
    Deno.execPath(),
    ["install", "--quiet", "--node-modules-dir=auto", "--cached-only"],
    folder,
  );
  await Deno.mkdir(`${folder}/node_modules/@lotline`);
  await Deno.rename(`${folder}/package`, installed);
  return {
    folder,
    installed,
    archive: await Deno.readFile(`${folder}/${archive}`),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
