import net from "node:net";

/*
 * The names in a certificate, read from its bytes: in Node.js's text of them, a name with a comma can
 * look like several (CVE-2021-44532).
 * https://www.rfc-editor.org/rfc/rfc5280#section-4.1
 */

interface CertificateNames {
  readonly dns: readonly string[];
  /** 4 or 16 bytes each, as hex. */
  readonly ips: readonly string[];
  readonly commonName: string | undefined;
}

/** One value of DER: a tag and its content. */
interface Item {
  readonly tag: number;
  readonly content: Uint8Array;
}

const EXTENSIONS = 0xa3;
const OCTETS = 0x04;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const VERSION = 0xa0;
/** 2.5.29.17 and 2.5.4.3. */
const SUBJECT_ALT_NAME = "551d11";
const COMMON_NAME = "550403";

/**
 * Whether a certificate is for the host, by libpq's rules: an IP address matches an entry of its kind,
 * or a name's entry by its text; the common name counts when there is no entry of the host's kind.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CERTIFICATES
 *
 * @param der the certificate
 */
export function matchesHost(host: string, der: Uint8Array): boolean {
  const { dns, ips, commonName } = readNames(der);
  const isIp = net.isIP(host) !== 0;
  if (isIp && ips.includes(hexOfIp(host))) return true;
  if (dns.some((name) => matchesName(host, name, isIp))) return true;
  const hasItsKind = (isIp ? ips : dns).length > 0;
  return !hasItsKind && commonName !== undefined && matchesName(host, commonName, isIp);
}

/** A leading `*.` stands for one label, never for a part of an IP address. */
function matchesName(host: string, name: string, isIp: boolean): boolean {
  const wanted = host.toLowerCase();
  const offered = name.toLowerCase();
  if (wanted === offered) return true;
  if (isIp || !offered.startsWith("*.")) return false;
  const dot = wanted.indexOf(".");
  return dot > 0 && wanted.slice(dot) === offered.slice(1);
}

/** @throws {RangeError} the bytes are no certificate */
export function readNames(der: Uint8Array): CertificateNames {
  const [certificate] = read(der);
  const [signed] = read(contentOf(certificate));
  const fields = read(contentOf(signed));
  const first = fields[0]?.tag === VERSION ? 1 : 0;
  // Serial number, algorithm, issuer and validity come before it.
  const subject = fields[first + 4];
  const entries = alternativeNames(fields.find(({ tag }) => tag === EXTENSIONS));
  return {
    dns: entries.filter(({ tag }) => tag === DNS_NAME).map(({ content }) => text(content)),
    ips: entries.filter(({ tag }) => tag === IP_ADDRESS).map(({ content }) => hex(content)),
    commonName: commonNameIn(subject),
  };
}

function alternativeNames(extensions: Item | undefined): Item[] {
  if (extensions === undefined) return [];
  for (const extension of read(contentOf(read(extensions.content)[0]))) {
    const parts = read(extension.content);
    if (hex(contentOf(parts[0])) !== SUBJECT_ALT_NAME) continue;
    const value = parts.find(({ tag }) => tag === OCTETS);
    return read(contentOf(read(contentOf(value))[0]));
  }
  return [];
}

/** The last one, the most specific, as OpenSSL's users read it. */
function commonNameIn(subject: Item | undefined): string | undefined {
  let name: string | undefined;
  for (const set of read(contentOf(subject))) {
    for (const attribute of read(set.content)) {
      const [type, value] = read(attribute.content);
      if (hex(contentOf(type)) === COMMON_NAME) name = text(contentOf(value));
    }
  }
  return name;
}

/** The values that follow each other in some bytes. */
function read(bytes: Uint8Array): Item[] {
  const items: Item[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = byteAt(bytes, at++);
    let length = byteAt(bytes, at++);
    if (length > 0x7f) {
      // The number of bytes that hold the length.
      let more = length & 0x7f;
      if (more < 1 || more > 3) throw new RangeError("a length that no certificate has");
      for (length = 0; more > 0; more--) length = length * 256 + byteAt(bytes, at++);
    }
    if (at + length > bytes.length) throw new RangeError("the certificate is cut off");
    items.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return items;
}

function byteAt(bytes: Uint8Array, index: number): number {
  const byte = bytes[index];
  if (byte === undefined) throw new RangeError("the certificate is cut off");
  return byte;
}

function contentOf(item: Item | undefined): Uint8Array {
  if (item === undefined) throw new RangeError("the certificate lacks a part");
  return item.content;
}

const hex = (bytes: Uint8Array) => bytes.toHex();

const latin1 = new TextDecoder("latin1");
const text = (bytes: Uint8Array) => latin1.decode(bytes);

function hexOfIp(ip: string): string {
  if (net.isIPv4(ip)) return hex(Uint8Array.from(ip.split("."), Number));
  // The URL parser writes every form of an IPv6 address in one.
  const [head = "", tail] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":");
  const zeros = 8 - groups(head).length - groups(tail ?? "").length;
  const all = tail === undefined
    ? groups(head)
    : [...groups(head), ...Array.from({ length: zeros }, () => "0"), ...groups(tail)];
  return all.map((group) => group.padStart(4, "0")).join("");
}
