package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	lotline "github.com/GIT_USER_ID/GIT_REPO_ID"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// The body of a response that is no success.
func errorOf(err error) lotline.ErrorResponse {
	var failure *lotline.GenericOpenAPIError
	if !errors.As(err, &failure) {
		log.Fatal("no error: ", err)
	}
	return failure.Model().(lotline.ErrorResponse)
}

func main() {
	lotCode := os.Getenv("LOT_CODE")
	configuration := lotline.NewConfiguration()
	configuration.Servers = lotline.ServerConfigurations{{URL: os.Getenv("BASE_URL")}}
	client := lotline.NewAPIClient(configuration)
	ctx := context.Background()

	credentials := lotline.NewCredentials("admin@flowviz.com")
	credentials.SetPassword("correct horse battery staple")
	login, _, err := client.AuthAPI.Login(ctx).Credentials(*credentials).Execute()
	must(err)
	fmt.Println("login:", login.User.Email, login.User.GetRole())
	ctx = context.WithValue(ctx, lotline.ContextAccessToken, login.Token)

	input := lotline.NewLotInput(lotCode)
	input.SetLotType(lotline.RAW)
	input.SetWeightKg("12.50")
	input.SetMetadata(map[string]any{"supplier": "Duna", "pallets": []string{"P-7", "P-8"}})
	lot, _, err := client.LotsAPI.CreateLot(ctx).LotInput(*input).Execute()
	must(err)
	metadata := lot.Metadata.(map[string]any)
	pallets := metadata["pallets"].([]any)
	fmt.Printf("lot: %s %s %s kg, %s, pallets %s %s\n", lot.LotCode, lot.GetLotType(),
		lot.GetWeightKg(), metadata["supplier"], pallets[0], pallets[1])

	verdict := lotline.NewQcDecisionInput()
	verdict.SetLotId(lot.Id)
	verdict.SetDecision(lotline.PASS)
	decision, _, err := client.QualityAPI.CreateQcDecision(ctx).QcDecisionInput(*verdict).Execute()
	must(err)
	fmt.Println("decision:", decision.GetDecision())

	trace, _, err := client.TraceabilityAPI.GetTraceability(ctx, lotCode).Execute()
	must(err)
	fmt.Printf("trace: %s %s kg, %d parents, %d children\n", trace.Central.LotCode,
		trace.Central.GetWeightKg(), len(trace.Parents), len(trace.Children))

	_, response, err := client.TraceabilityAPI.GetTraceability(ctx, lotCode+"-UNKNOWN").Execute()
	fmt.Printf("%d: %s\n", response.StatusCode, errorOf(err).Error)

	broken := lotline.NewLotInput(lotCode)
	broken.SetMetadata("{")
	_, response, err = client.LotsAPI.CreateLot(ctx).LotInput(*broken).Execute()
	for _, detail := range errorOf(err).Details {
		fmt.Printf("%d: %s %s\n", response.StatusCode, detail.Path, detail.Message)
	}
}
