/*
 * Takes a PostgreSQL address apart. Its grammar is libpq's, not that of web addresses: lists of hosts,
 * `#` and `?` in a password, folders of sockets.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

import { type Given, PARAMETERS } from "./address_parameters.ts";
import { AddressError, isShown, percentDecoded } from "./address_text.ts";

const SCHEMES = ["postgres://", "postgresql://"];

/** The parts of an address as they are written; a part that is missing is empty. */
interface Parts {
  readonly credentials: string;
  readonly hosts: string;
  readonly database: string;
  /** Undefined without its question mark. */
  readonly query: string | undefined;
}

/** @throws {AddressError} */
function partsOf(text: string): Parts {
  const scheme = SCHEMES.find((one) => text.startsWith(one));
  if (scheme === undefined) {
    throw new AddressError(
      "expected postgres:// or postgresql://, such as postgres://user:password@host:5432/database",
    );
  }
  const rest = text.slice(scheme.length);
  const mark = rest.search(/[@/]/);
  const start = rest[mark] === "@" ? mark + 1 : 0;
  const place = rest.slice(start);
  const end = indexOrEnd(place, /[/?]/);
  const tail = place.slice(end);
  const query = tail.includes("?") ? tail.indexOf("?") : tail.length;
  return {
    credentials: rest.slice(0, start),
    hosts: place.slice(0, end),
    database: tail.slice(1, query),
    query: query < tail.length ? tail.slice(query + 1) : undefined,
  };
}

/** @throws {AddressError} */
export function readParts(text: string): Given {
  const { credentials, hosts, database, query = "" } = partsOf(text);
  const given: Given = { ignored: new Set() };
  if (credentials !== "") readCredentials(given, credentials.slice(0, -1));
  readHosts(given, hosts);
  if (database.includes("@")) throw rawAt("database");
  if (database !== "") given.dbname = decoded("the database", database);
  readParameters(given, query);
  return given;
}

/**
 * The address with the setting DATABASE_POOLER as its last parameter, which counts. With `auto` what the
 * address itself says counts.
 *
 * @throws {AddressError}
 */
export function withPooler(text: string, setting: "auto" | "none" | "transaction"): string {
  if (setting === "auto" && readParts(text).pooler !== undefined) return text;
  const { query } = partsOf(text);
  const separator = query === undefined ? "?" : query === "" || query.endsWith("&") ? "" : "&";
  return `${text}${separator}pool_mode=${setting}`;
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

function unknownParameter(name: string, query: string): AddressError {
  return new AddressError(
    isShown(name, query)
      ? `${name} is not a parameter of a PostgreSQL address: remove it`
      : "a parameter has an unknown name; in a password @ is written as %40 and & as %26",
  );
}

/** The part without spaces around it, which libpq ignores, and decoded. */
function decoded(part: string, text: string): string {
  const [word = "", ...more] = text.split(" ").filter((word) => word !== "");
  if (more.length > 0) throw new AddressError(`${part} has a space: write it as %20`);
  return percentDecoded(part, word);
}

/**
 * The same address for another user.
 *
 * @param password without characters that an address encodes
 * @throws {AddressError}
 */
export function withUser(text: string, user: string, password: string): string {
  const { credentials } = partsOf(text);
  const start = text.indexOf("://") + "://".length;
  const end = start + credentials.length;
  return `${text.slice(0, start)}${encodeURIComponent(user).replaceAll("'", "%27")}:${password}@${
    text.slice(end)
  }`;
}
