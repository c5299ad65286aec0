/**
 * Runs the tests with the servers that they share already started, so that not every file starts
 * its own: `deno run -A testing/run.ts [arguments of deno test]`.
 *
 * @module
 */
import { ownPostgres, sharedServerVariable } from "./postgres_servers.ts";

console.log("Starting PostgreSQL 17 and 15 for the tests …");
await using seventeen = await ownPostgres(17);
await using fifteen = await ownPostgres(15);
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "--allow-all", "--quiet", "--parallel", ...Deno.args],
  env: {
    // Most tests wait more than they compute: two files at a time take half as long on two cores.
    DENO_JOBS: "2",
    [sharedServerVariable(17)]: seventeen.server.url,
    [sharedServerVariable(15)]: fifteen.server.url,
  },
}).spawn().status;
Deno.exitCode = code;
