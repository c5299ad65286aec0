package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	. "example.com/lots/lotline"
)

// Go has no expression for a pointer to a value; optional fields are pointers.
func ptr[T any](value T) *T { return &value }

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	lotCode := os.Getenv("LOT_CODE")
	client := must(NewClientWithResponses(os.Getenv("BASE_URL")))

	login := must(client.LoginWithResponse(ctx, Credentials{
		Email: "admin@flowviz.com", Password: "correct horse battery staple",
	}))
	user := login.JSON200.User
	fmt.Println("login:", user.Email, *user.Role)
	withToken := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+login.JSON200.Token)
		return nil
	}

	stored := must(client.CreateLotWithResponse(ctx, nil, LotInput{
		LotCode:  lotCode,
		LotType:  ptr(RAW),
		WeightKg: ptr[DecimalInput]("12.50"),
		Metadata: ptr[JsonValueInput](map[string]any{"supplier": "Duna", "pallets": []string{"P-7", "P-8"}}),
	}, withToken))
	lot := stored.JSON201
	var metadata struct {
		Supplier string
		Pallets  []string
	}
	if err := json.Unmarshal(must(json.Marshal(lot.Metadata)), &metadata); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("lot: %s %s %s kg, %s, pallets %s %s\n", lot.LotCode, *lot.LotType, *lot.WeightKg,
		metadata.Supplier, metadata.Pallets[0], metadata.Pallets[1])

	decided := must(client.CreateQcDecisionWithResponse(ctx, nil, QcDecisionInput{
		LotId: ptr(lot.Id.String()), Decision: ptr(PASS),
	}, withToken))
	fmt.Println("decision:", *decided.JSON201.Decision)

	trace := must(client.GetTraceabilityWithResponse(ctx, lotCode, withToken)).JSON200
	fmt.Printf("trace: %s %s kg, %d parents, %d children\n",
		trace.Central.LotCode, *trace.Central.WeightKg, len(trace.Parents), len(trace.Children))

	missing := must(client.GetTraceabilityWithResponse(ctx, lotCode+"-UNKNOWN", withToken))
	fmt.Println("404:", missing.JSON404.Error)

	refused := must(client.CreateLotWithResponse(ctx, nil, LotInput{
		LotCode: lotCode, Metadata: ptr[JsonValueInput]("{"),
	}, withToken))
	for _, detail := range *refused.JSON422.Details {
		fmt.Println("422:", detail.Path, detail.Message)
	}
}
