/** The addresses of a started system. */
export interface Addresses {
  readonly api: string;
  readonly database: string;
  readonly valkey: string | undefined;
  readonly stateFolder: string;
  readonly apiLog: string;
  readonly workerLog: string;
}

/** The output of `deno task dev` when all runs: the addresses, and commands to try. */
export function greeting(addresses: Addresses): string {
  const { api, database, valkey, stateFolder, apiLog, workerLog } = addresses;
  return `
  API          ${api}
  Reference    ${api}/docs
  Contract     ${api}/openapi.yaml
  Database     ${database}
  Valkey       ${valkey ?? "none: no cache"}
  Data         ${stateFolder}
  API's log    ${apiLog}
  Worker's     ${workerLog}

Try these in another terminal; each can be repeated:

  curl -s ${api}/api/health
  curl -s ${api}/api/traceability/MIX-BATCH-88
  curl -s -X POST ${api}/api/lots -H 'content-type: application/json' \\
    -d '{"lot_code":"RAW-TRY-'$(date +%s)'","lot_type":"RAW","weight_kg":"12.50"}'

Every route is open (AUTH_MODE=legacy), to this machine only. Ctrl-C ends it all.
`;
}
