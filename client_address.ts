import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Where a request came from. */
export interface Client {
  /** The client's IP address, an IPv4 one as such even when it came as `::ffff:…`. */
  readonly address: string;
  /** Whether the client came over TLS, as far as a trusted proxy says so. */
  readonly secure: boolean;
}

/** What is read of a request: the value of a header, all its lines joined by commas. */
export interface ForwardedHeaders {
  get(name: "x-forwarded-for" | "x-forwarded-proto"): string | null;
}

/** Tells where a request came from; `peer` is the address at the other end of its connection. */
export type ReadClient = (request: { readonly headers: ForwardedHeaders }, peer: string) => Client;

/** More proxies than this stand in no row; whoever sends a longer one is no client of ours. */
const MAX_HOPS = 20;

/**
 * Reads the client's address from `X-Forwarded-For`, but only as far as trusted proxies have written
 * it: from the right, up to the first address that isn't one of theirs. All that is left of it may
 * be made up. Without trusted proxies the header isn't looked at.
 *
 * @param trustedProxies IP addresses and networks, such as `10.0.0.0/8`
 */
export function createClientReader(trustedProxies: readonly string[]): ReadClient {
  if (trustedProxies.length === 0) {
    // An address of IPv4 comes from the system, in the one form that it has.
    const addressOf = (peer: string) => peer.includes(":") ? normalizedAddress(peer) ?? peer : peer;
    return (_request, peer) => ({ address: addressOf(peer), secure: false });
  }
  const isTrusted = createProxyCheck(trustedProxies);
  return (request, peer) => {
    let address = normalizedAddress(peer);
    if (address === undefined) return { address: peer, secure: false };
    if (!isTrusted(address)) return { address, secure: false };
    const hops = request.headers.get("x-forwarded-for")?.split(",").slice(-MAX_HOPS) ?? [];
    while (hops.length > 0 && isTrusted(address)) {
      const hop = normalizedAddress(withoutPort(hops.pop()?.trim() ?? ""));
      if (hop === undefined) break;
      address = hop;
    }
    return { address, secure: cameOverTls(request) };
  };
}

/**
 * Tells whether an address, one that {@link normalizedAddress} gave, is a trusted proxy's.
 *
 * @param trustedProxies IP addresses and networks, such as `10.0.0.0/8`
 */
export function createProxyCheck(trustedProxies: readonly string[]): (address: string) => boolean {
  const ranges = trustedProxies.map((text): [Address, number] => {
    if (ipaddr.isValidCIDR(text)) return withoutMapping(...ipaddr.parseCIDR(text));
    const address = ipaddr.process(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  });
  return (text) => {
    const address = ipaddr.process(text);
    return ranges.some(([range, bits]) =>
      range.kind() === address.kind() && address.match(range, bits)
    );
  };
}

/**
 * The last value is the one that the proxy before us has written: it knows how its own client came,
 * and one that is a plain hop behind another passes on what it was told.
 */
function cameOverTls(request: { readonly headers: ForwardedHeaders }): boolean {
  const last = request.headers.get("x-forwarded-proto")?.split(",").at(-1);
  return last?.trim().toLowerCase() === "https";
}

/** The longest address of IPv6 has 45 characters, with brackets, port and zone some more. */
const MAX_ADDRESS = 100;

/** An address as one text, whatever way it was written; nothing when it is none. */
export function normalizedAddress(text: string): string | undefined {
  if (text.length > MAX_ADDRESS) return undefined;
  // Only the full form: "1" and "0x7f.1" are IPv4 addresses to ipaddr.js as well.
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  // Without a zone (`%eth0`), which is this machine's business or, in a header, made up.
  return ipaddr.process(text.replace(/%.*/, "")).toString();
}

/** The client as bounds count it: whoever has an IPv6 address has the other 2^64 of its /64 as well. */
export function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString();
}

/** `192.0.2.1:567` and `[2001:db8::1]:567` are what some balancers write. */
function withoutPort(text: string): string {
  if (text.length > MAX_ADDRESS) return text;
  return /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
}

/** A network of IPv4 addresses that is written as one of IPv6 (`::ffff:10.0.0.0/104`). */
function withoutMapping(address: Address, bits: number): [Address, number] {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96
    ? [address.toIPv4Address(), bits - 96]
    : [address, bits];
}
