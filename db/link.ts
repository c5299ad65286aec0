import net from "node:net";
import tls from "node:tls";
import type { Address } from "./address.ts";
import { matchesHost } from "./certificate_names.ts";
import { LinkError, type ProblemKind } from "./link_error.ts";
import { readTlsFiles } from "./tls_files.ts";

/*
 * Opens the way to PostgreSQL: TCP or a unix socket, then TLS. postgres.js speaks over it and knows
 * nothing of it (docs/decisions/0028).
 */

/** Where one connection leads. */
export interface Endpoint {
  /** What a certificate is checked against. */
  readonly name: string;
  readonly port: number;
  /** An IP address, or the path of a unix socket. */
  readonly to: { readonly ip: string } | { readonly path: string };
}

/** `preferred`: a server that has no TLS is used without. */
export type Encryption = "none" | "preferred" | "required";

export interface Link {
  /** What is sent and received; with TLS, decrypted. */
  readonly socket: net.Socket;
  readonly isEncrypted: boolean;
  /** Closes it without waiting for anything from the network. */
  destroy(): void;
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f);
/** The protocol that both name when TLS begins without PostgreSQL's request for it. */
const ALPN = "postgresql";
const DEFAULT_KEEP_ALIVE_MS = 30_000;

/** Alerts about the client's certificate; the server sends some when the client has finished. */
const CLIENT_ALERT = /Certificate|UnknownCA|DecryptError|AccessDenied/;
const ALERT = "received fatal alert: ";

const KINDS: Readonly<Record<string, ProblemKind>> = {
  CERT_HAS_EXPIRED: "tls_expired",
  CERT_NOT_YET_VALID: "tls_expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls_untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "tls_untrusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_untrusted",
};

/**
 * @param signal gives up; its reason is then thrown
 * @throws {LinkError} TLS or permissions fail; an error of the operating system
 */
export async function openLink(
  { endpoint, encryption }: { readonly endpoint: Endpoint; readonly encryption: Encryption },
  { tls, keepAliveMs = DEFAULT_KEEP_ALIVE_MS }: Pick<Address, "tls" | "keepAliveMs">,
  signal: AbortSignal,
): Promise<Link> {
  // Before connecting: between the server's consent and TLS nothing may be waited for.
  const settings = encryption === "none" ? undefined : await tlsSettings(endpoint, tls);
  const raw = await connect(endpoint, signal);
  try {
    if (keepAliveMs !== false) raw.setKeepAlive(true, keepAliveMs);
    if (settings === undefined || !await agreesToTls(raw, tls, encryption, signal)) {
      return { socket: raw, isEncrypted: false, destroy: () => raw.destroy() };
    }
    const socket = await encrypt(raw, settings, signal);
    return {
      socket,
      isEncrypted: true,
      // Over a dead link TLS would wait for the other side.
      destroy() {
        socket.destroy();
        raw.destroy();
      },
    };
  } catch (error) {
    raw.destroy();
    throw error;
  }
}

async function connect({ to, port }: Endpoint, signal: AbortSignal): Promise<net.Socket> {
  const socket = "path" in to ? openUnixSocket(to.path) : net.connect(port, to.ip);
  // An error without a listener would end the process.
  socket.on("error", () => {});
  try {
    await next(socket, "connect", signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.setNoDelay(true);
  return socket;
}

function openUnixSocket(path: string): net.Socket {
  try {
    return net.connect(path);
  } catch (cause) {
    // With `--ignore-read` Deno says that the socket doesn't exist.
    const isForbidden = cause instanceof Deno.errors.NotCapable ||
      cause instanceof Deno.errors.NotFound;
    if (!isForbidden) throw cause;
    const folder = path.slice(0, path.lastIndexOf("/"));
    throw new LinkError(
      "no_permission",
      `Deno may not open the socket in ${folder}: start the task with ` +
        `--allow-read=${folder} --allow-write=${folder}`,
      { cause },
    );
  }
}

/** Whether TLS follows. */
async function agreesToTls(
  raw: net.Socket,
  { direct }: Address["tls"],
  encryption: Encryption,
  signal: AbortSignal,
): Promise<boolean> {
  if (direct) return true;
  raw.write(SSL_REQUEST);
  const answer = await next<Uint8Array>(raw, "data", signal);
  // More than one byte came before TLS, from anybody: https://www.postgresql.org/support/security/CVE-2021-23222/
  if (answer.length === 1 && answer[0] === 0x53) return true;
  if (answer.length === 1 && answer[0] === 0x4e) {
    if (encryption === "preferred") return false;
    throw new LinkError("tls_unsupported", "the server has no TLS, and sslmode requires it");
  }
  // An error message of the server, which anybody could have written.
  if (answer[0] === 0x45) {
    throw new LinkError("tls_failed", "the server fails on the request for TLS");
  }
  throw new LinkError("not_postgres", "the server doesn't respond as PostgreSQL does");
}

async function encrypt(
  raw: net.Socket,
  settings: tls.ConnectionOptions,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  let socket: tls.TLSSocket | undefined;
  try {
    socket = tls.connect({ ...settings, socket: raw });
    socket.on("error", () => {});
    await next(socket, "secureConnect", signal);
    if (settings.ALPNProtocols !== undefined && socket.alpnProtocol !== ALPN) {
      throw new LinkError("tls_failed", "the server has no sslnegotiation=direct");
    }
    return socket;
  } catch (error) {
    socket?.destroy();
    throw signal.aborted ? error : tlsError(error);
  }
}

/** A failure of TLS in a form that says what is wrong. */
export function tlsError(error: unknown): LinkError {
  if (error instanceof LinkError) return error;
  const code = (error as { code?: unknown }).code;
  const message = error instanceof Error ? error.message : String(error);
  const isOfClient = message.includes(ALERT) && CLIENT_ALERT.test(message);
  const kind = KINDS[String(code)] ?? (isOfClient ? "tls_client_key" : "tls_failed");
  return new LinkError(kind, `TLS: ${message}`, { cause: error });
}

async function tlsSettings(
  { name }: Endpoint,
  settings: Address["tls"],
): Promise<tls.ConnectionOptions> {
  const { mode, direct, rootCert, minVersion = "TLSv1.2", maxVersion = "TLSv1.3" } = settings;
  return {
    ...await readTlsFiles(settings),
    host: name,
    ...(net.isIP(name) === 0 && { servername: name }),
    ...(direct && { ALPNProtocols: [ALPN] }),
    minVersion,
    maxVersion,
    // As libpq: with a root certificate, the chain is checked in every mode.
    rejectUnauthorized: rootCert !== undefined || mode === "verify-ca" || mode === "verify-full",
    checkServerIdentity: (_host, { raw }) =>
      mode !== "verify-full" || isFor(name, raw)
        ? undefined
        : new LinkError("tls_name", `the server's certificate is not for ${name}`),
  };
}

/** Never throws: that would end the process. */
function isFor(name: string, certificate: Uint8Array): boolean {
  try {
    return matchesHost(name, certificate);
  } catch {
    return false;
  }
}

/** The first value of an event. @throws the signal's reason, or what ended the socket */
function next<T>(socket: net.Socket, event: string, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onClose = () => reject(new LinkError("unreachable", "the server closes the connection"));
  const onAbort = () => reject(signal.reason);
  socket.once(event, resolve);
  socket.on("error", reject);
  socket.on("close", onClose);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  return promise.finally(() => {
    socket.off(event, resolve);
    socket.off("error", reject);
    socket.off("close", onClose);
    signal.removeEventListener("abort", onAbort);
  });
}
