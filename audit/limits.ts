/** From when on a measurement is a finding. Decimals are text, compared by PostgreSQL. */
export interface AuditLimits {
  /** By how much a lot may weigh more than its inputs, in percent of them. */
  readonly tolerancePercent: string;
  /** By lot type, in °C, both ends allowed. A type that isn't here has no limits. */
  readonly temperatures: Readonly<Record<string, TemperatureRange>>;
}

export interface TemperatureRange {
  readonly least: string;
  readonly most: string;
}
