import { ownPostgres, sharedServerVariable } from "./postgres_servers.ts";

/**
 * Starts the PostgreSQL servers that all tests of a run share, so that files don't start their own.
 * The action gets the variables that name them; they end with it.
 */
export async function withSharedServers<Result>(
  action: (env: Record<string, string>) => Promise<Result>,
): Promise<Result> {
  console.log("Starting PostgreSQL 17 and 15 for the tests …");
  await using seventeen = await ownPostgres(17);
  await using fifteen = await ownPostgres(15);
  return await action({
    [sharedServerVariable(17)]: seventeen.server.url,
    [sharedServerVariable(15)]: fifteen.server.url,
  });
}
