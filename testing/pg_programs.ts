import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianProgram, type Release } from "../dev/debian_packages.ts";
import type { Major } from "./postgres_servers.ts";

/*
 * PostgreSQL's own programs for backups, which the npm packages lack: of Debian 12 for PostgreSQL 15, of
 * Debian 13 for 17. A `pg_dump` refuses a server of a later version than its own.
 */

const RELEASES: Readonly<Record<Major, Release>> = { 15: "bookworm", 17: "trixie" };

/** All that these programs link, by release. */
const PACKAGES: Readonly<Record<Release, readonly string[]>> = {
  bookworm: [
    "postgresql-client-15",
    "libpq5",
    "libc6",
    "libssl3",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libk5crypto3",
    "libkrb5support0",
    "libcom-err2",
    "libkeyutils1",
    "libldap-2.5-0",
    "libsasl2-2",
    "libgnutls30",
    "libp11-kit0",
    "libidn2-0",
    "libunistring2",
    "libtasn1-6",
    "libnettle8",
    "libhogweed6",
    "libgmp10",
    "libffi8",
    "liblz4-1",
    "libzstd1",
    "zlib1g",
  ],
  trixie: [
    "postgresql-client-17",
    "libpq5",
    "libc6",
    "libssl3t64",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libk5crypto3",
    "libkrb5support0",
    "libcom-err2",
    "libkeyutils1",
    "libldap2",
    "libsasl2-2",
    "liblz4-1",
    "libzstd1",
    "zlib1g",
  ],
};

type Name = "pg_dump" | "pg_restore" | "pg_basebackup";

const programOf = (major: Major, name: Name) =>
  debianProgram({
    name: "postgresql-client",
    release: RELEASES[major],
    packages: PACKAGES[RELEASES[major]],
    path: `usr/lib/postgresql/${major}/bin/${name}`,
  });

/**
 * Runs one of PostgreSQL's programs to its end.
 *
 * @throws Error with what it wrote when it fails, or can't be fetched
 */
export async function runPgProgram(
  major: Major,
  name: Name,
  args: readonly string[],
): Promise<void> {
  const program = await programOf(major, name);
  const { success, stderr } = await new Deno.Command(program.command, {
    args: [...program.args, ...args],
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${name} failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/**
 * Makes these programs, and a psql for a single statement, commands of a folder that goes to the front
 * of `PATH`.
 *
 * @throws Error when they can't be fetched
 */
export async function linkPgPrograms(major: Major, folder: string): Promise<void> {
  const write = async (name: string, words: readonly string[]) => {
    const line = [...words.map((word) => `'${word}'`), '"$@"'].join(" ");
    await Deno.writeTextFile(join(folder, name), `#!/bin/sh\nexec ${line}\n`, { mode: 0o755 });
  };
  for (const name of ["pg_dump", "pg_restore", "pg_basebackup"] as const) {
    const { command, args } = await programOf(major, name);
    await write(name, [command, ...args]);
  }
  // Debian's psql links more than these packages have.
  const psql = fileURLToPath(new URL("./psql_for_setup.ts", import.meta.url));
  await write("psql", [Deno.execPath(), "run", "--quiet", "-A", psql]);
}
