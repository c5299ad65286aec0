import {
  AddressError,
  isHost,
  isShown,
  MAX_ADDRESS_LENGTH,
  parsePort,
  percentDecoded,
} from "../db/address_text.ts";

/** The address of a Valkey or Redis server. */
export interface ValkeyAddress {
  readonly tls: boolean;
  /** A name or an IP address, an IPv6 one without brackets. */
  readonly host: string;
  readonly port: number;
  /** The server's default user without it. */
  readonly user?: string;
  readonly password?: string;
  readonly database: number;
}

const SCHEMES = new Map([["redis", false], ["valkey", false], ["rediss", true], ["valkeys", true]]);
const DEFAULT_PORT = 6379;
const MAX_DATABASE = 2 ** 31 - 1;

/**
 * Parses an address in the form of https://www.iana.org/assignments/uri-schemes/prov/redis. What is
 * after an @ is always the host: the client's own parser would take a wrong address as another server.
 *
 * @throws {AddressError}
 */
export function parseValkeyAddress(text: string): ValkeyAddress {
  if (text.length > MAX_ADDRESS_LENGTH) {
    throw new AddressError(`it is longer than ${MAX_ADDRESS_LENGTH} characters`);
  }
  // As some clients write a socket.
  if (text.startsWith("/") || text.startsWith("unix:")) throw socket();
  const [, scheme = "", rest = ""] = /^([A-Za-z][A-Za-z+-]{0,30}):\/\/([^]*)$/.exec(text) ?? [];
  const tls = tlsOf(scheme.toLowerCase());
  if (rest.includes("#")) throw new AddressError("it has a #: in a password it is written as %23");
  const [place = "", ...queries] = rest.split("?");
  if (queries.length > 0) throw refusedQuery(queries.join("?"));
  const [authority = "", ...segments] = place.split("/");
  const path = segments.join("/");
  if (path.includes("@")) {
    throw new AddressError("it has an @ behind a /: in a password / is written as %2F");
  }
  const end = authority.lastIndexOf("@");
  return {
    tls,
    ...credentialsOf(authority.slice(0, Math.max(end, 0))),
    ...serverOf(authority.slice(end + 1), path),
    database: databaseOf(path),
  };
}

function tlsOf(scheme: string): boolean {
  const tls = SCHEMES.get(scheme);
  if (tls !== undefined) return tls;
  if (/sentinel/.test(scheme)) {
    throw new AddressError(
      "Sentinel is not supported: give the address of the primary, or of a proxy that leads to it",
    );
  }
  if (/cluster/.test(scheme)) throw cluster();
  if (/unix|socket/.test(scheme)) throw socket();
  throw new AddressError(
    "expected redis://, rediss://, valkey:// or valkeys://, such as redis://localhost:6379",
  );
}

const cluster = () =>
  new AddressError(
    "a cluster is not supported: give the address of one server without cluster mode",
  );
const socket = () => new AddressError("Unix sockets are not supported: give a host and a port");

function credentialsOf(text: string): { user?: string; password?: string } {
  if (text === "") return {};
  const colon = text.indexOf(":");
  const user = percentDecoded("the user", colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? "" : percentDecoded("the password", text.slice(colon + 1));
  // The client would connect as the default user then.
  if (user !== "" && password === "") {
    throw new AddressError(
      "it has a user without a password: a password alone is written as :password@",
    );
  }
  return { ...(user !== "" && { user }), ...(password !== "" && { password }) };
}

function serverOf(text: string, path: string): { host: string; port: number } {
  if (text.includes(",")) throw cluster();
  const [, bracketed, plain = "", port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^]*))?$/.exec(text) ??
    [];
  const host = percentDecoded("the host", bracketed ?? plain);
  if (host.startsWith("/") || (text === "" && /\D/.test(path))) throw socket();
  if (!isHost(host) || host.includes(":") !== (bracketed !== undefined)) {
    throw new AddressError("the host must be a name or an IP address, an IPv6 one in brackets");
  }
  const parsed = port === undefined || port === "" ? DEFAULT_PORT : parsePort(port);
  if (parsed !== undefined) return { host, port: parsed };
  throw new AddressError("the port must be a number from 1 to 65535");
}

function databaseOf(path: string): number {
  const database = path === "" ? 0 : /^\d{1,10}$/.test(path) ? Number(path) : -1;
  if (database >= 0 && database <= MAX_DATABASE) return database;
  throw new AddressError("the database must be a number, such as /3 at the end of the address");
}

function refusedQuery(query: string): AddressError {
  const [name = ""] = query.split(/[=&]/, 1);
  return new AddressError(
    isShown(name, query)
      ? `${name} is not supported: an address of Valkey has no parameters`
      : "it has a ?: in a password it is written as %3F, and an address of Valkey has no parameters",
  );
}
