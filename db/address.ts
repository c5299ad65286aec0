/*
 * The address of a PostgreSQL server. Its grammar is libpq's, not that of web addresses: lists of hosts,
 * `#` and `?` in a password, folders of sockets.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

import net from "node:net";
import { type Given, PARAMETERS } from "./address_parameters.ts";
import type { TargetServer, TlsMode, TlsVersion } from "./address_parameters.ts";

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

/** An address is refused; the message is a sentence without a value of the address. */
export class AddressError extends Error {
  override name = "AddressError";
}

const SCHEMES = ["postgres://", "postgresql://"];
const MAX_LENGTH = 8_192;
const MAX_CONNECT_TIMEOUT_S = 10;
const DEFAULT_PORT = 5432;
/** What the operating system allows, in bytes. */
const MAX_SOCKET_PATH = 107;

/** @throws {AddressError} */
export function parseAddress(text: string): Address {
  if (text.length > MAX_LENGTH) {
    throw new AddressError(`it is longer than ${MAX_LENGTH} characters`);
  }
  const given = readParts(text);
  const hosts = hostsOf(given);
  const { user = "", password = "", dbname = "", name = "", fallbackName = "" } = given;
  if (user === "") throw new AddressError("it names no user: write postgres://user@host/database");
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

/** The address for messages, without password and parameters. */
export function safeName({ user, hosts, database }: Address): string {
  const places = hosts.map(({ name, port }) => `${net.isIPv6(name) ? `[${name}]` : name}:${port}`);
  return `${user}@${places.join()}/${database}`;
}

function readParts(text: string): Given {
  const scheme = SCHEMES.find((one) => text.startsWith(one));
  if (scheme === undefined) {
    throw new AddressError(
      "expected postgres:// or postgresql://, such as postgres://user:password@host:5432/database",
    );
  }
  const given: Given = { ignored: new Set() };
  const rest = text.slice(scheme.length);
  const mark = rest.search(/[@/]/);
  const start = rest[mark] === "@" ? mark + 1 : 0;
  if (start > 0) readCredentials(given, rest.slice(0, mark));
  const place = rest.slice(start);
  const end = indexOrEnd(place, /[/?]/);
  readHosts(given, place.slice(0, end));
  const tail = place.slice(end);
  const query = tail.includes("?") ? tail.indexOf("?") : tail.length;
  const database = tail.slice(1, query);
  if (database.includes("@")) throw rawAt("database");
  if (database !== "") given.dbname = decoded("the database", database);
  readParameters(given, tail.slice(query + 1));
  return given;
}

function indexOrEnd(text: string, pattern: RegExp): number {
  const index = text.search(pattern);
  return index < 0 ? text.length : index;
}

/** libpq ends the credentials at the first @: what follows would be another server than was meant. */
const rawAt = (part: string) =>
  new AddressError(`the ${part} has an @: in a password @ is written as %40 and / as %2F`);

function readCredentials(given: Given, text: string): void {
  const colon = indexOrEnd(text, /:/);
  if (colon > 0) given.user = decoded("the user", text.slice(0, colon));
  if (colon + 1 < text.length) given.password = decoded("the password", text.slice(colon + 1));
}

function readHosts(given: Given, text: string): void {
  if (text.includes("@")) throw rawAt("host");
  const items = text.split(",").map((item) => {
    const brackets = /^\[([^\]]*)\](?::([^]*))?$/.exec(item);
    if (brackets !== null) return { host: brackets[1] || "[]", port: brackets[2] ?? "" };
    const colon = indexOrEnd(item, /:/);
    return { host: item.slice(0, colon), port: item.slice(colon + 1) };
  });
  const host = items.map(({ host }) => host).join();
  const port = items.map(({ port }) => port).join();
  if (host !== "") given.host = decoded("the host", host);
  if (port !== "") given.port = decoded("the port", port);
}

function readParameters(given: Given, query: string): void {
  const items = query.split("&");
  // libpq accepts one & at the end.
  if (items.at(-1) === "") items.pop();
  for (const item of items) {
    const [rawName = "", rawValue, ...more] = item.split("=");
    if (rawValue === undefined) throw new AddressError("a parameter has no = behind its name");
    const name = decoded("a parameter's name", rawName);
    const rule = PARAMETERS.get(name);
    if (rule === undefined) throw unknownParameter(name, query);
    if (more.length > 0) throw new AddressError(`${name} has a second =: write it as %3D`);
    const value = decoded(name, rawValue);
    // libpq's exception for addresses of JDBC.
    const isJdbc = name === "ssl" && value === "true";
    const refusal = isJdbc ? void (given.tlsMode = "require") : rule(given, value, name);
    if (refusal !== undefined) throw new AddressError(`${name} ${refusal}`);
  }
}

/** An unknown name is not shown where it may be a part of a password with a raw @ or &. */
function unknownParameter(name: string, query: string): AddressError {
  const isShown = /^[A-Za-z_][\w.-]{0,62}$/.test(name) && !/@|password=/.test(query);
  return new AddressError(
    isShown
      ? `${name} is not a parameter of a PostgreSQL address: remove it`
      : "a parameter has an unknown name; in a password @ is written as %40 and & as %26",
  );
}

/** The part without spaces around it, with its percent-encoded bytes replaced. */
function decoded(part: string, text: string): string {
  const [word = "", ...more] = text.split(" ").filter((word) => word !== "");
  if (more.length > 0) throw new AddressError(`${part} has a space: write it as %20`);
  if (/%(?![\dA-Fa-f]{2})/.test(word)) {
    throw new AddressError(
      `${part} has a % without two hexadecimal digits behind it: write it as %25`,
    );
  }
  if (/%00|\0/.test(word)) throw new AddressError(`${part} has a zero byte`);
  try {
    return decodeURIComponent(word);
  } catch {
    throw new AddressError(`${part} has percent-encoded bytes that are not UTF-8`);
  }
}

function hostsOf({ host = "", hostaddr = "", port = "" }: Given): Host[] {
  const names = host === "" ? [] : host.split(",");
  const addresses = hostaddr === "" ? [] : hostaddr.split(",");
  const count = addresses.length || names.length;
  if (count === 0) throw noHost();
  if (names.length > 0 && names.length !== count) {
    throw new AddressError(`hostaddr has ${count} addresses for ${names.length} hosts`);
  }
  const ports = port.split(",").map(portOf);
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
  const port = text === "" ? DEFAULT_PORT : /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new AddressError(
    "port must be a number from 1 to 65535; a / in a password is written as %2F, and an IPv6 address " +
      "in brackets",
  );
}

function hostOf(name: string, address: string, port: number): Host {
  if (address !== "") {
    if (net.isIP(address) === 0 || address.includes("%")) {
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
  const isHost = net.isIP(name) !== 0 ? !name.includes("%") : /^[\w.-]{1,255}$/.test(name);
  if (!isHost) {
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
