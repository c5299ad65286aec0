/** The address of a PostgreSQL server, as libpq documents it. */

import net from "node:net";
import { userInfo } from "node:os";
import type { Given, TargetServer, TlsMode, TlsVersion } from "./address_parameters.ts";
import { readParts, withPooler } from "./address_parts.ts";
import { AddressError, isHost, MAX_ADDRESS_LENGTH, parsePort } from "./address_text.ts";

export interface Host {
  /** A name, an IP address or the folder of a socket: what a certificate is checked against. */
  readonly name: string;
  /** The IP address to connect to instead of the name's. */
  readonly address?: string;
  readonly port: number;
  /** The path of a Unix socket. */
  readonly socket?: string;
}

export interface Tls {
  readonly mode: TlsMode;
  /** Whether TLS starts without PostgreSQL's request for it. */
  readonly direct: boolean;
  /** A path, or "system" for the certificates of the runtime. */
  readonly rootCert?: string;
  /** The paths of the client's certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  readonly keyPassword?: string;
  readonly sendsCert: boolean;
  readonly minVersion?: TlsVersion;
  readonly maxVersion?: TlsVersion;
}

/** A parsed address; threads can receive it. */
export interface Address {
  readonly hosts: readonly Host[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: Tls;
  readonly target: TargetServer;
  /** Whether the hosts are tried in a random order. */
  readonly shuffles: boolean;
  readonly options?: string;
  /** What the address adds to `application_name`. */
  readonly nameSuffix?: string;
  /** For each host. */
  readonly connectTimeoutMs?: number;
  /** How long a connection is idle before TCP checks it; false: never. */
  readonly keepAliveMs?: number | false;
  readonly pooler: "auto" | "none" | "transaction";
  /** The parameters that were accepted without effect. */
  readonly ignored: readonly string[];
}

export { AddressError, withPooler };

const MAX_CONNECT_TIMEOUT_S = 10;
const DEFAULT_PORT = 5432;
/** What the operating system allows, in bytes. */
const MAX_SOCKET_PATH = 107;

/** @throws {AddressError} */
export function parseAddress(text: string): Address {
  if (text.length > MAX_ADDRESS_LENGTH) {
    throw new AddressError(`it is longer than ${MAX_ADDRESS_LENGTH} characters`);
  }
  const given = readParts(text);
  const hosts = hostsOf(given);
  const { password = "", dbname = "", name = "", fallbackName = "" } = given;
  const user = given.user || systemUser();
  const { connectTimeoutS = 0, keepalives = 1, keepalivesIdleS = 0 } = given;
  const nameSuffix = name || fallbackName;
  return {
    hosts,
    user,
    password,
    database: dbname || user,
    tls: tlsOf(given, hosts),
    target: given.target ?? "any",
    shuffles: given.shuffles ?? false,
    ...(given.options && { options: given.options }),
    ...(nameSuffix !== "" && { nameSuffix }),
    ...(connectTimeoutS > 0 && {
      connectTimeoutMs: Math.min(connectTimeoutS, MAX_CONNECT_TIMEOUT_S) * 1_000,
    }),
    ...(keepalives === 0
      ? { keepAliveMs: false }
      : keepalivesIdleS > 0 && { keepAliveMs: keepalivesIdleS * 1_000 }),
    pooler: given.pooler ?? "none",
    ignored: [...given.ignored],
  };
}

/** Whether the address itself says what stands before PostgreSQL. @throws {AddressError} */
export function namesPooler(text: string): boolean {
  return readParts(text).pooler !== undefined;
}

/** libpq's default. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw new AddressError("it names no user: write postgres://user@host/database");
  }
}

/** The address for messages, without password and parameters. */
export function safeName({ user, hosts, database }: Address): string {
  const places = hosts.map(({ name, port }) => `${net.isIPv6(name) ? `[${name}]` : name}:${port}`);
  return `${user}@${places.join()}/${database}`;
}

function hostsOf({ host = "", hostaddr = "", port = "" }: Given): Host[] {
  const ports = port.split(",").map(portOf);
  const names = host === "" ? [] : host.split(",");
  const addresses = hostaddr === "" ? [] : hostaddr.split(",");
  const count = addresses.length || names.length;
  if (count === 0) throw noHost();
  if (names.length > 0 && names.length !== count) {
    throw new AddressError(`hostaddr has ${count} addresses for ${names.length} hosts`);
  }
  if (ports.length !== 1 && ports.length !== count) {
    throw new AddressError(`port has ${ports.length} numbers for ${count} hosts`);
  }
  return Array.from({ length: count }, (_, i) => {
    const atPort = ports[ports.length === 1 ? 0 : i] ?? DEFAULT_PORT;
    return hostOf(names[i] ?? "", addresses[i] ?? "", atPort);
  });
}

const noHost = () =>
  new AddressError("it names no host: write postgres://user@host/database, or host= with a folder");

function portOf(text: string): number {
  const port = text === "" ? DEFAULT_PORT : parsePort(text);
  if (port !== undefined) return port;
  throw new AddressError(
    "port must be a number from 1 to 65535; a / in a password is written as %2F, and an IPv6 address " +
      "in brackets",
  );
}

function hostOf(name: string, address: string, port: number): Host {
  if (address !== "") {
    if (net.isIP(address) === 0 || !isHost(address)) {
      throw new AddressError("hostaddr must be an IP address");
    }
    if (name.startsWith("/")) throw new AddressError("hostaddr can't belong to a socket's folder");
    if (name === "") return { name: address, address, port };
  }
  if (name === "") throw noHost();
  if (name.startsWith("/")) {
    const socket = `${name}/.s.PGSQL.${port}`;
    if (new TextEncoder().encode(socket).length > MAX_SOCKET_PATH) {
      throw new AddressError(`host: the socket's path is longer than ${MAX_SOCKET_PATH} bytes`);
    }
    return { name, port, socket };
  }
  if (!isHost(name)) {
    throw new AddressError("host must be a name, an IP address or the folder of a socket");
  }
  return address === "" ? { name, port } : { name, address, port };
}

function tlsOf(given: Given, hosts: readonly Host[]): Tls {
  const { rootCert, cert, key, keyPassword, minVersion, maxVersion } = given;
  const mode = given.tlsMode ?? (rootCert === "system" ? "verify-full" : "prefer");
  const isVerified = mode === "verify-ca" || mode === "verify-full";
  const isWeak = !isVerified && mode !== "require";
  if (rootCert === "system" && mode !== "verify-full") {
    throw new AddressError("sslrootcert=system needs sslmode=verify-full");
  }
  if (given.directTls && isWeak) {
    throw new AddressError("sslnegotiation=direct needs sslmode=require or stricter");
  }
  // A socket has no TLS.
  if (isVerified && !rootCert && hosts.some(({ socket }) => socket === undefined)) {
    throw new AddressError(`sslrootcert is needed for sslmode=${mode}: a file's path, or system`);
  }
  if (mode === "verify-full" && !given.host) {
    throw new AddressError("hostaddr needs a host beside it for sslmode=verify-full");
  }
  if (!cert !== !key) {
    throw new AddressError(
      cert ? "sslcert needs sslkey beside it" : "sslkey needs sslcert beside it",
    );
  }
  if (key?.includes(":")) {
    throw new AddressError("sslkey must be a file: engines are not supported");
  }
  if (minVersion === "TLSv1.3" && maxVersion === "TLSv1.2") {
    throw new AddressError("ssl_min_protocol_version is higher than ssl_max_protocol_version");
  }
  return {
    // libpq's rule: with a root certificate `require` checks it.
    mode: mode === "require" && rootCert ? "verify-ca" : mode,
    direct: given.directTls ?? false,
    ...(rootCert && { rootCert }),
    ...(cert && key && { cert, key }),
    ...(keyPassword && { keyPassword }),
    sendsCert: given.sendsCert ?? true,
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
  };
}
