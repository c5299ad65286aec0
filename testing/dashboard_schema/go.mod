// Grafana's own schema of its dashboards: its version and, in go.sum, what it was when it was chosen. A
// newer one: go get github.com/grafana/grafana-foundation-sdk/go@latest && go mod tidy
module lotline/testing/dashboard_schema

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
