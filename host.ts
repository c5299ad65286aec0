// host [":" port] of RFC 3986. Anything more, such as a slash, would become a part of the address
// that a path is read from, and a proxy in front would have let another path through.
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::(\d{0,5}))?$/;

/** Whether the value of a `Host` header is a host, with a port or without. An empty one is. */
export function isHost(value: string): boolean {
  const found = HOST.exec(value);
  return found !== null && Number(found[1] ?? "") <= 65_535;
}
