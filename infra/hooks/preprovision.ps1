# Registers what a private network needs; without it the app cannot be made, and the error does not say why.
$ErrorActionPreference = 'Stop'

if ($env:VNET_ENABLED -ne 'true') { exit 0 }
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Write-Output 'The Azure CLI (az) is not here. See that the provider Microsoft.App is registered in the subscription.'
    exit 0
}
# Without a subscription named, az takes the one that it is set to.
$subscription = @(if ($env:AZURE_SUBSCRIPTION_ID) { '--subscription', $env:AZURE_SUBSCRIPTION_ID })
az provider register --namespace Microsoft.App @subscription --wait
exit $LASTEXITCODE
