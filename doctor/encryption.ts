import ipaddr from "ipaddr.js";
import { parseValkeyAddress } from "../cache/address.ts";
import type { Address, Host } from "../db/address.ts";
import { endOf } from "../db/certificates.ts";
import { readEncryption } from "../db/server_certificate.ts";
import { readTlsFiles } from "../db/tls_files.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { DatabaseCheck, LocalCheck } from "./checks.ts";
import { failure, note, ok, warning } from "./findings.ts";

/** How long before its end a certificate is a warning, in days. */
const EXPIRES_SOON_DAYS = 30;
const DAY_MS = 86_400_000;
const TIMEOUT_MS = 2_000;
const VERIFY = "write sslmode=verify-full and sslrootcert in DATABASE_URL";

/** Whether the connection is encrypted, and the server's certificate checked and valid for long. */
export const encryption: DatabaseCheck = {
  name: "encryption",
  needs: "nothing",
  async run({ address }) {
    const found = await readEncryption(address, TIMEOUT_MS);
    return [
      ...encryptionFindings(address, found?.version),
      ...found === undefined
        ? []
        : [expiryFinding("encryption", "The server's certificate", found.end)],
    ];
  },
};

/** The files that DATABASE_URL and VALKEY_CA_FILE name. */
export const certificates: LocalCheck = {
  name: "certificates",
  async run({ addresses, valkeyCaFile }) {
    const files: [what: string, pem: string | undefined][] = [];
    for (const { setting, address } of addresses) {
      const { ca, cert } = await readTlsFiles(address.tls);
      files.push(
        [`The certificate of sslrootcert in ${setting}`, ca],
        [`The certificate of sslcert in ${setting}`, cert],
      );
    }
    if (valkeyCaFile !== undefined) {
      const pem = await Deno.readTextFile(valkeyCaFile).catch(() => undefined);
      if (pem === undefined) {
        return [failure("certificates", "VALKEY_CA_FILE can't be read", "check its path and mode")];
      }
      files.push(["The certificate of VALKEY_CA_FILE", pem]);
    }
    return files.flatMap(([what, pem]) =>
      pem === undefined ? [] : [expiryFinding("certificates", what, endOf(pem))]
    );
  },
};

/** @param version of TLS; undefined: the connection isn't encrypted */
export function encryptionFindings(
  { hosts, tls: { mode, rootCert } }: Pick<Address, "hosts" | "tls">,
  version: string | undefined,
): readonly Finding[] {
  const check = "encryption";
  if (hosts.every(isThisMachine)) return [ok(check, "The database is on this machine")];
  if (version === undefined) {
    return [warning(check, "The connection to the database isn't encrypted", VERIFY)];
  }
  if (mode !== "verify-full") {
    const what = rootCert === undefined && mode !== "verify-ca"
      ? "The server's certificate isn't checked: another server could take its place"
      : "The name in the server's certificate isn't checked";
    return [warning(check, what, VERIFY)];
  }
  return [
    ok(
      check,
      `The connection to the database has ${version}, and the server's certificate is checked`,
    ),
  ];
}

/** Whether what Valkey gets can be read on its way. */
export function valkeyEncryption(url: string): readonly Finding[] {
  const { tls, host } = parseValkeyAddress(url);
  return tls || isThisMachine({ name: host }) ? [] : [
    note(
      "valkey",
      "The connection to Valkey isn't encrypted",
      "use an address that begins with rediss://, unless the network is trusted",
    ),
  ];
}

export function isThisMachine({ name, address = name, socket }: Partial<Host> & { name: string }) {
  if (socket !== undefined || address === "localhost") return true;
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "loopback";
}

export function expiryFinding(
  check: string,
  what: string,
  end: Date,
  now = Date.now(),
): Finding {
  const days = Math.floor((end.getTime() - now) / DAY_MS);
  const day = end.toISOString().slice(0, 10);
  if (days < 0) return failure(check, `${what} was valid until ${day}`, "renew it");
  if (days < EXPIRES_SOON_DAYS) return warning(check, `${what} is valid until ${day}`, "renew it");
  return ok(check, `${what} is valid until ${day}`);
}
