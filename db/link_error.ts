/** What is wrong with a database or with the way to it. */
export type ProblemKind =
  /** No host of the address accepts a connection. */
  | "unreachable"
  /** The connection carries nothing any more. */
  | "silent"
  /** The server refuses the connection for a reason without a kind of its own. */
  | "refused"
  | "refused_login"
  /** The server accepts only encrypted connections. */
  | "encryption_required"
  | "no_database"
  | "no_right"
  | "unknown_parameter"
  | "too_many"
  | "starting"
  | "stopping"
  | "read_only"
  | "disk_full"
  /** No host of the address is what `target_session_attrs` requests. */
  | "no_suitable_server"
  /** The server has no TLS, and `sslmode` requires it. */
  | "tls_unsupported"
  /** The certificate is another server's. */
  | "tls_name"
  /** The certificate comes from another authority than `sslrootcert`. */
  | "tls_untrusted"
  | "tls_expired"
  /** The server refuses the client's certificate, or requires one. */
  | "tls_client_key"
  /** A file of `sslrootcert`, `sslcert` or `sslkey` can't be used. */
  | "tls_file"
  /** The handshake failed for another reason. */
  | "tls_failed"
  /** Deno lacks the permission for a file or a unix socket. */
  | "no_permission"
  | "not_postgres"
  /** The server requests a login that Lotline lacks. */
  | "auth_method"
  | "pooler_parameter"
  /** PostgreSQL before version 15. */
  | "old_server"
  | "schema_missing"
  | "schema_old";

/** No connection to PostgreSQL could be made or kept, for a reason that Lotline found itself. */
export class LinkError extends Error {
  override name = "LinkError";
  readonly code = "LINK_FAILED";

  constructor(readonly kind: ProblemKind, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
