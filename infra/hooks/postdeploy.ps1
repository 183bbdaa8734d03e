# Says where the service is, how to get a key, and what to try first. Shows no key.
$ErrorActionPreference = 'Stop'

Write-Output @"

The service is at $env:SERVICE_API_URI

Whether it works:
  curl.exe --fail-with-body $env:SERVICE_API_URI/api/health

A host key, which opens every route:
  `$key = az functionapp keys list --resource-group $env:AZURE_RESOURCE_GROUP --name $env:AZURE_FUNCTION_NAME --query functionKeys.default --output tsv

A first request, which sends nothing anywhere:
  curl.exe --fail-with-body --json '@examples/criteria.json' -H "x-functions-key: `$key" $env:SERVICE_API_URI/api/criteria/evaluate

"@
