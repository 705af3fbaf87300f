// The dashboard of Grafana as its publisher's own types have it, those of the options of each kind of panel among them.
import type { Dashboard, FieldConfig, Panel } from "@grafana/schema";
import type * as Stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as Table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as TimeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** A type as JSON has it: of an enumeration, the texts. */
type Json<T> = T extends string
  ? `${T}`
  : T extends readonly (infer U)[]
    ? Json<U>[]
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

interface Query {
  refId: string;
  datasource: { type: "prometheus"; uid: string };
  expr: string;
  legendFormat?: string;
  format?: "time_series" | "table";
  instant?: boolean;
}

type PanelOf<Kind extends string, Options, Custom = never> = Json<
  Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
    type: Kind;
    title: string;
    options: Partial<Options>;
    fieldConfig: { defaults: Omit<FieldConfig, "custom"> & { custom?: Partial<Custom> }; overrides: [] };
    targets: Query[];
  }
>;

export type GrafanaDashboard = Json<Omit<Dashboard, "panels">> & {
  panels: (
    | PanelOf<"stat", Stat.Options>
    | PanelOf<"table", Table.Options, Table.FieldConfig>
    | PanelOf<"timeseries", TimeSeries.Options, TimeSeries.FieldConfig>
  )[];
};
