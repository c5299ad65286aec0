import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { type Address, parseAddress } from "./address.ts";
import { TYPES } from "./values.ts";

/** Of PostgreSQL's settings those in ms; 0 is never. */
export interface SessionOptions {
  /** The `application_name` in `pg_stat_activity`. */
  readonly name: string;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** PostgreSQL closes an idle connection after this long. */
  readonly idleTimeoutMs?: number;
  /** The same while a transaction is open. */
  readonly idleInTransactionTimeoutMs?: number;
  /** For each host of the address; 5 s by default. */
  readonly connectTimeoutMs?: number;
  /** Whether only a transaction that begins as `read write` may write. */
  readonly readOnly?: boolean;
  /** Whether it reads times as PostgreSQL has it for the address; by default in UTC, month before day. */
  readonly readsAsServer?: boolean;
  /** Called when the connection has ended, for whatever reason. */
  readonly onEnd?: () => void;
}

/** PostgreSQL cuts off what is longer, in bytes. */
const MAX_NAME = 63;
const MAX_ADDRESSES = 16;

const addresses = new Map<string, Address>();

/** The same text is parsed once. @throws {AddressError} */
export function addressOf(text: string): Address {
  const known = addresses.get(text);
  if (known !== undefined) return known;
  const address = parseAddress(text);
  if (addresses.size >= MAX_ADDRESSES) addresses.clear();
  addresses.set(text, address);
  return address;
}

/**
 * The settings of postgres.js. It gets parts of the address, since it reads an address by rules of its
 * own: parameters of the address replace ours there.
 *
 * @param open the `socket` of postgres.js
 */
export function settingsOf(
  address: Address,
  parameters: StartupParameters,
  open: (driver: DriverOptions) => Promise<Duplex>,
) {
  const { hosts, user, password, database } = address;
  return {
    // Spread without its type, since the types of postgres.js don't know these forms.
    ...({
      socket: open,
      // For its messages alone. With two hosts it would swallow errors.
      host: [hosts[0]?.name],
      port: [hosts[0]?.port],
      // A function, since it would replace an empty password by one of the environment.
      pass: () => password,
      connection: parameters,
    } as object),
    user,
    database,
    // All of these are the opener's.
    ssl: false as const,
    connect_timeout: 0,
    keep_alive: null,
    fetch_types: false,
    onnotice: () => {},
    types: TYPES,
  };
}

/** The settings of postgres.js as its `socket` gets them, before it sends the startup parameters. */
export interface DriverOptions {
  connection: StartupParameters;
}

export type StartupParameters = Readonly<Record<string, string>>;

/**
 * What PostgreSQL gets at the start, as text: postgres.js leaves out `0` and `false`. PostgreSQL applies
 * the address's `options` first, so ours win.
 */
export function startupParameters(address: Address, options: SessionOptions): StartupParameters {
  const { options: given } = address;
  return {
    ...(given !== undefined && { options: given }),
    ...pooledParameters(address, options),
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    lock_timeout: String(options.lockTimeoutMs ?? 0),
    idle_session_timeout: String(options.idleTimeoutMs ?? 0),
    idle_in_transaction_session_timeout: String(options.idleInTransactionTimeoutMs ?? 0),
    // Without it the server's own setting holds, which may say that it is read-only.
    ...(options.readOnly === true && { default_transaction_read_only: "on" }),
  };
}

/** What a pooler in transaction mode keeps for a connection, whichever server's it uses. */
export function pooledParameters(
  { nameSuffix }: Address,
  { name, readsAsServer }: SessionOptions,
): StartupParameters {
  const fullName = nameSuffix === undefined ? name : `${name}/${nameSuffix}`;
  return {
    application_name: Buffer.from(fullName).subarray(0, MAX_NAME).toString(),
    ...(readsAsServer !== true && { TimeZone: "UTC", DateStyle: "ISO, MDY" }),
  };
}
