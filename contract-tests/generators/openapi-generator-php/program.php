<?php
use OpenAPI\Client\Api\{AuthApi, LotsApi, QualityApi, TraceabilityApi};
use OpenAPI\Client\{ApiException, Configuration};
use OpenAPI\Client\Model\{Credentials, LotInput, LotType, QcDecisionInput, QcVerdict};

// What Composer's vendor/autoload.php does for its users.
require 'GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class): void {
    $file = str_replace(['OpenAPI\\Client\\', '\\'], ['', '/'], $class);
    require __DIR__ . "/generated/lib/$file.php";
});

$lotCode = getenv('LOT_CODE');
$config = (new Configuration())->setHost(getenv('BASE_URL'));
$lots = new LotsApi(config: $config);
$traceability = new TraceabilityApi(config: $config);

$session = (new AuthApi(config: $config))->login(
    new Credentials(['email' => 'admin@flowviz.com', 'password' => 'correct horse battery staple']));
echo "login: {$session->getUser()->getEmail()} {$session->getUser()->getRole()}\n";
$config->setAccessToken($session->getToken());

$lot = $lots->createLot(new LotInput([
    'lot_code' => $lotCode,
    'lot_type' => LotType::RAW,
    'weight_kg' => '12.50',
    'metadata' => ['supplier' => 'Duna', 'pallets' => ['P-7', 'P-8']],
]));
$metadata = $lot->getMetadata();
$pallets = implode(' ', $metadata->pallets);
echo "lot: {$lot->getLotCode()} {$lot->getLotType()} {$lot->getWeightKg()} kg, ",
    "$metadata->supplier, pallets $pallets\n";

$decision = (new QualityApi(config: $config))->createQcDecision(
    new QcDecisionInput(['lot_id' => $lot->getId(), 'decision' => QcVerdict::PASS]));
echo "decision: {$decision->getDecision()}\n";

$trace = $traceability->getTraceability($lotCode);
$central = $trace->getCentral();
echo "trace: {$central->getLotCode()} {$central->getWeightKg()} kg, ",
    count($trace->getParents()), ' parents, ', count($trace->getChildren()), " children\n";

try {
    $traceability->getTraceability("$lotCode-UNKNOWN");
} catch (ApiException $e) {
    echo "{$e->getCode()}: {$e->getResponseObject()->getError()}\n";
}
try {
    $lots->createLot(new LotInput(['lot_code' => $lotCode, 'metadata' => '{']));
} catch (ApiException $e) {
    $detail = $e->getResponseObject()->getDetails()[0];
    echo "{$e->getCode()}: {$detail->getPath()} {$detail->getMessage()}\n";
}
