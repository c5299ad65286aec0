import ipaddr from "ipaddr.js";
import proxyAddress from "proxy-addr";

export interface Client {
  /** The client's IP address; an IPv4 address has its own form even when it came as `::ffff:…`. */
  readonly address: string;
  /** Whether the client used TLS, according to a trusted proxy. */
  readonly secure: boolean;
}

/** The headers that are read; the lines of one header are joined by commas. */
export interface ForwardedHeaders {
  get(name: "x-forwarded-for" | "x-forwarded-proto"): string | null;
}

/** @param peer the address at the other end of the connection */
export type ReadClient = (request: { readonly headers: ForwardedHeaders }, peer: string) => Client;

/** The most entries of `X-Forwarded-For` that are read. */
const MAX_HOPS = 20;

/**
 * Reads the client's address from `X-Forwarded-For`, as far as trusted proxies wrote it: from the
 * right, up to the first address that is not a trusted proxy's. A client may have invented
 * everything to the left of that. Without trusted proxies the header is ignored.
 *
 * @param trustedProxies IP addresses and networks, such as `10.0.0.0/8`
 */
export function createClientReader(trustedProxies: readonly string[]): ReadClient {
  if (trustedProxies.length === 0) {
    // The system writes an IPv4 address in one form only.
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

/** Returns a check whether an address is a trusted proxy's. */
export function createProxyCheck(trustedProxies: readonly string[]): (address: string) => boolean {
  const isTrusted = proxyAddress.compile([...trustedProxies]);
  return (address) => isTrusted(address, 0);
}

/**
 * The last value comes from the nearest proxy, which knows how its own client connected. A proxy
 * behind another one passes on the value that it received.
 */
function cameOverTls(request: { readonly headers: ForwardedHeaders }): boolean {
  const last = request.headers.get("x-forwarded-proto")?.split(",").at(-1);
  return last?.trim().toLowerCase() === "https";
}

/** An IPv6 address has at most 45 characters; brackets, port and zone add some. */
const MAX_ADDRESS = 100;

/** The one normal form of an address; undefined when the text is no address. */
export function normalizedAddress(text: string): string | undefined {
  if (text.length > MAX_ADDRESS) return undefined;
  // ipaddr.js also takes "1" and "0x7f.1" for IPv4 addresses.
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  // A zone (`%eth0`) means something on this machine only; in a header it is invented.
  return ipaddr.process(text.replace(/%.*/, "")).toString();
}

/** The unit that limits count: a client with an IPv6 address owns the whole /64. */
export function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString();
}

/** Some load balancers write `192.0.2.1:567` and `[2001:db8::1]:567`. */
function withoutPort(text: string): string {
  if (text.length > MAX_ADDRESS) return text;
  return /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
}
