import dns from "node:dns/promises";
import net from "node:net";
import { withDeadline } from "../timing.ts";
import type { Address } from "./address.ts";
import type { Encryption, Endpoint } from "./link.ts";
import { LinkError } from "./link_error.ts";

type Host = Address["hosts"][number];

/** One try to connect. */
export interface Attempt {
  readonly host: Host;
  readonly endpoint: Endpoint;
  readonly encryption: Encryption;
  /** Whether `sslmode` allows another try with the other encryption. */
  readonly hasOther: boolean;
  readonly target: Address["target"];
}

interface Options {
  /** For finding the addresses of a name. */
  readonly timeoutMs: number;
  /** Called for a host whose addresses can't be found. */
  readonly onFailure: (host: Host, error: unknown) => void;
}

/** A host that failed this recently is tried after the others, in ms. */
const FAILED_MS = 5_000;
/** The addresses of one name that are tried. */
const MAX_ADDRESSES = 16;
const MAX_REMEMBERED = 100;

/** When hosts failed, by this process's clock: a dead one would delay every connection. */
const failures = new Map<string, number>();

/**
 * The tries to connect, in libpq's order: hosts as in the address, of each all its addresses, of each the
 * encryptions of `sslmode`. After each the caller says whether the other encryption is tried.
 */
export async function* attemptsFor(
  address: Address,
  { timeoutMs, onFailure }: Options,
): AsyncGenerator<Attempt, void, boolean> {
  const { target } = address;
  const passes: readonly Address["target"][] = target === "prefer-standby"
    ? ["standby", "any"]
    : [target];
  for (const target of passes) {
    const hosts = address.shuffles ? shuffled(address.hosts) : address.hosts;
    for (const host of inOrder(hosts, target)) {
      const endpoints = await endpointsOf(host, timeoutMs).catch((error): Endpoint[] => {
        onFailure(host, error);
        return [];
      });
      for (const endpoint of inOrder(endpoints, target)) {
        const encryptions = encryptionsOf(address.tls, host);
        for (const [index, encryption] of encryptions.entries()) {
          const hasOther = index + 1 < encryptions.length;
          if (!(yield { host, endpoint, encryption, hasOther, target })) break;
        }
      }
    }
  }
}

export function rememberFailure(attempt: Attempt): void {
  if (failures.size >= MAX_REMEMBERED) failures.clear();
  for (const key of keysOf(attempt)) failures.set(key, performance.now());
}

export function forgetFailure(attempt: Attempt): void {
  if (failures.size === 0) return;
  for (const key of keysOf(attempt)) failures.delete(key);
}

/** A standby fails for one target and is right for another. */
const keyOf = (place: Host | Endpoint, target: Address["target"]) =>
  JSON.stringify([place, target]);

const keysOf = ({ host, endpoint, target }: Attempt) =>
  [host, endpoint].map((place) => keyOf(place, target));

/** Those that failed recently come last. */
function inOrder<Place extends Host | Endpoint>(
  places: readonly Place[],
  target: Address["target"],
): Place[] {
  const hasFailed = (place: Place) =>
    performance.now() - (failures.get(keyOf(place, target)) ?? -Infinity) < FAILED_MS;
  return [...places.filter((place) => !hasFailed(place)), ...places.filter(hasFailed)];
}

function shuffled(hosts: readonly Host[]): Host[] {
  const all = [...hosts];
  for (let last = all.length - 1; last > 0; last--) {
    const chosen = Math.floor(Math.random() * (last + 1));
    [all[last], all[chosen]] = [all[chosen] as Host, all[last] as Host];
  }
  return all;
}

async function endpointsOf(host: Host, timeoutMs: number): Promise<Endpoint[]> {
  const { name, port, socket } = host;
  if (socket !== undefined) return [{ name, port, to: { path: socket } }];
  const known = host.address ?? name;
  if (net.isIP(known) !== 0) return [{ name, port, to: { ip: known } }];
  const found = await withDeadline(dns.lookup(known, { all: true }), timeoutMs, () => {
    throw new LinkError("unreachable", `no address of the host in ${timeoutMs} ms`);
  });
  const ips = [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
  return ips.map((ip) => ({ name, port, to: { ip } }));
}

/** A unix socket needs no encryption, whatever `sslmode` says. */
function encryptionsOf({ mode }: Address["tls"], { socket }: Host): Encryption[] {
  if (socket !== undefined || mode === "disable") return ["none"];
  if (mode === "allow") return ["none", "required"];
  if (mode === "prefer") return ["preferred", "none"];
  return ["required"];
}
