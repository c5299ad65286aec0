import { hashPassword } from "../../auth/password_work.ts";
import { setPasswordHash } from "../../db/accounts.ts";
import { REQUIRED, startApi } from "../../testing/api.ts";
import { demoDatabase } from "../../testing/demo_database.ts";

/** The account that the programs log in with, and the password in the contract's example. */
const ACCOUNT = {
  id: "00000000-0000-0000-0000-000000000001",
  password: "correct horse battery staple",
};

/** A temporary service with the demo plant. Disposing ends and removes it. */
export interface DemoService extends AsyncDisposable {
  readonly url: string;
}

/** Starts it in `AUTH_MODE=required`, so that a client without its token is refused. */
export async function startDemoService(): Promise<DemoService> {
  await using starting = new AsyncDisposableStack();
  const database = starting.use(await demoDatabase(new Date()));
  await setPasswordHash(database.sql, ACCOUNT.id, await hashPassword(ACCOUNT.password));
  const { url } = starting.use(
    await startApi({ databaseUrl: database.url, environment: REQUIRED }),
  );
  const running = starting.move();
  return { url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
