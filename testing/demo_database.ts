import postgres from "postgres";
import { fillDemoPlant } from "../dev/demo_plant.ts";
import { freshDatabase, type TestDatabase } from "./database.ts";

/** A new database with the demo plant of `deno task dev`, as of a moment. */
export async function demoDatabase(now: Date): Promise<TestDatabase> {
  const database = await freshDatabase();
  const filling = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    await fillDemoPlant(filling, now);
  } finally {
    await filling.end();
  }
  return database;
}
