// host [":" port] of RFC 3986. Anything more, such as a slash, would become part of the URL from
// which a path is read. A path that a proxy checks in one form could then arrive in another.
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::(\d{0,5}))?$/;

/** Whether the value of a `Host` header is a host with an optional port; it may be empty. */
export function isHost(value: string): boolean {
  const found = HOST.exec(value);
  return found !== null && Number(found[1] ?? "") <= 65_535;
}
