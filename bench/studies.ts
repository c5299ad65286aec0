import { COLD_START } from "./cold_start.ts";
import { GROWTH } from "./growth.ts";
import { MEMORY } from "./memory.ts";
import { OVERLOAD } from "./overload.ts";
import { POOLERS } from "./poolers.ts";
import { REPLICA } from "./replica.ts";
import type { Study } from "./study.ts";

/** All measurements besides the comparison; each runs only by its name. */
export const STUDIES: readonly Study[] = [COLD_START, MEMORY, GROWTH, OVERLOAD, POOLERS, REPLICA];
