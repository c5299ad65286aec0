import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Address } from "./address.ts";
import { LinkError } from "./link_error.ts";

/** What the files of an address hold, in PEM. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A list of authorities has some hundred kB at most. */
const MAX_BYTES = 1_048_576;
const CERTIFICATE = "-----BEGIN CERTIFICATE-----";

/**
 * Reads the files that an address names, for each connection again: renewed ones need no restart.
 *
 * @throws {LinkError} with the parameter and the cause, never with the content
 */
export async function readTlsFiles(
  { rootCert, cert, key, keyPassword, sendsCert }: Address["tls"],
): Promise<TlsFiles> {
  const ca = rootCert === undefined || rootCert === "system"
    ? undefined
    : checkCertificate("sslrootcert", await read("sslrootcert", rootCert));
  if (!sendsCert || cert === undefined || key === undefined) return ca === undefined ? {} : { ca };
  const own = checkCertificate("sslcert", await read("sslcert", cert));
  const opened = openKey(await read("sslkey", key), keyPassword);
  if (!new X509Certificate(own).checkPrivateKey(opened)) {
    throw new LinkError("tls_file", "sslkey: the key is not sslcert's");
  }
  return {
    ...(ca !== undefined && { ca }),
    cert: own,
    key: String(opened.export({ type: "pkcs8", format: "pem" })),
  };
}

async function read(parameter: string, path: string): Promise<string> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile || size > MAX_BYTES) throw new Error("it must be a file of 1 MB at most");
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) {
      throw new LinkError(
        "no_permission",
        `${parameter}: Deno may not read the file: start the task with --allow-read=${path}`,
        { cause },
      );
    }
    const why = cause instanceof Deno.errors.NotFound
      ? "doesn't exist, or Deno may not read it"
      : "can't be read";
    throw new LinkError("tls_file", `${parameter}: the file ${why}`, { cause });
  }
}

function checkCertificate(parameter: string, pem: string): string {
  try {
    if (!pem.includes(CERTIFICATE)) throw new Error(`it has no ${CERTIFICATE}`);
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new LinkError("tls_file", `${parameter}: the file holds no certificate in PEM`, {
      cause,
    });
  }
}

/** The key without its password, which Deno's TLS can't use. */
function openKey(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
  } catch (cause) {
    throw new LinkError(
      "tls_file",
      passphrase === undefined
        ? "sslkey: the file holds no private key in PEM, or one that needs sslpassword"
        : "sslkey: the file holds no private key in PEM that sslpassword opens",
      { cause },
    );
  }
}
