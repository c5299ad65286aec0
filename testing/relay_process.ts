import { createTraceInvalidation } from "../cache/trace_cache.ts";
import { connectValkey } from "../cache/valkey.ts";
import { startRelay } from "../jobs/relay.ts";
const [databaseUrl = "", valkeyUrl = ""] = Deno.args;
const log = (...a: unknown[]) => console.log(JSON.stringify(a));
startRelay({
  databaseUrl,
  invalidation: createTraceInvalidation(connectValkey(valkeyUrl, log)),
  log,
});
