import { readFileSync } from "node:fs";
import net from "node:net";
// @ts-types="@types/pg"
import type pg from "pg";
import { parseAddress } from "../../db/address.ts";

type Tls = ReturnType<typeof parseAddress>["tls"];

/**
 * The settings of `pg` for an address, which it would read by rules of its own: another server, or none,
 * could be the result.
 *
 * @throws {Error} `pg` can't do what the address says
 */
export function connectionOf(databaseUrl: string, timeZone?: string): pg.PoolConfig {
  const { hosts, user, password, database, tls, options, nameSuffix, connectTimeoutMs } =
    parseAddress(databaseUrl);
  const [host, ...others] = hosts;
  if (host === undefined || others.length > 0) {
    throw new Error("DATABASE_URL names several hosts: the stand-in uses one, so name that alone");
  }
  // The old server set no zone: PostgreSQL reads a time without an offset in that of its sessions.
  const all = [options, timeZone && `-c TimeZone=${timeZone}`].filter(Boolean).join(" ");
  return {
    host: host.address ?? host.name,
    port: host.port,
    user,
    // A function, since `pg` would replace an empty password by one of a file.
    password: () => password,
    database,
    ...(all !== "" && { options: all }),
    ...(nameSuffix !== undefined && { application_name: nameSuffix }),
    ...(connectTimeoutMs !== undefined && { connectionTimeoutMillis: connectTimeoutMs }),
    ssl: host.socket === undefined && tlsOf(tls, host.name),
  };
}

/** `pg` doesn't try both ways, as `allow` and `prefer` do: there is no TLS with them. */
function tlsOf(tls: Tls, name: string): pg.PoolConfig["ssl"] {
  const { mode, rootCert, cert, key, keyPassword } = tls;
  if (tls.direct) throw new Error("DATABASE_URL: the stand-in has no sslnegotiation=direct");
  if (mode === "disable" || mode === "allow" || mode === "prefer") return false;
  const read = (parameter: string, path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new Error(`DATABASE_URL: ${parameter}: the file can't be read`, { cause });
    }
  };
  return {
    rejectUnauthorized: mode !== "require",
    // What the certificate is for; `pg` says nothing when it connects to an IP address.
    ...(net.isIP(name) === 0 ? { servername: name } : { host: name }),
    ...(mode === "verify-ca" && { checkServerIdentity: () => undefined }),
    ...(rootCert !== undefined && rootCert !== "system" && { ca: read("sslrootcert", rootCert) }),
    ...(cert !== undefined && key !== undefined && tls.sendsCert && {
      cert: read("sslcert", cert),
      key: read("sslkey", key),
      ...(keyPassword !== undefined && { passphrase: keyPassword }),
    }),
  };
}
