import { X509Certificate } from "node:crypto";
import type { WatchedCertificate } from "../telemetry/certificates.ts";
import { readEncryption } from "./server_certificate.ts";
import { addressOf } from "./session_settings.ts";
import { readTlsFiles } from "./tls_files.ts";

const TIMEOUT_MS = 2_000;

/**
 * The certificates of an address: the server's, as a connection gets it, and those of the files that
 * the address names.
 *
 * @param of the label of the server's
 */
export function databaseCertificates(
  of: "database" | "replica",
  url: string,
): readonly WatchedCertificate[] {
  const address = addressOf(url);
  const { mode } = address.tls;
  const readFileEnd = async (file: "ca" | "cert") => {
    const { [file]: pem } = await readTlsFiles(address.tls);
    return pem === undefined ? undefined : endOf(pem);
  };
  return [
    {
      of,
      readEnd: async () =>
        mode === "disable" ? undefined : (await readEncryption(address, TIMEOUT_MS))?.end,
    },
    {
      of: `${of}_authority`,
      readEnd: () => readFileEnd("ca"),
    },
    {
      of: `${of}_client`,
      readEnd: () => readFileEnd("cert"),
    },
  ];
}

/**
 * Until when a certificate in PEM is valid; a list counts as its first one.
 *
 * @throws Error it is none
 */
export const endOf = (pem: string): Date => new Date(new X509Certificate(pem).validTo);
