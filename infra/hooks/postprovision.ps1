# Makes the state key in the vault where there is none. The key is never shown, and never an argument.
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false

function Skip-StateKey([string] $Reason) {
    Write-Output "$Reason, so no state key was made. Until the vault $env:AZURE_KEY_VAULT_NAME"
    Write-Output 'has a secret STATE-KEY, the service answers 503. docs/deploy.md says how to make one.'
    exit 0
}

if (-not (Get-Command az -ErrorAction SilentlyContinue)) { Skip-StateKey 'There is no az here' }

# The role of whoever deploys takes some minutes to reach the vault.
for ($tries = 1; ; $tries++) {
    $found = (az keyvault secret show --vault-name $env:AZURE_KEY_VAULT_NAME --name STATE-KEY --query id --output tsv 2>&1) -join "`n"
    if ($LASTEXITCODE -eq 0) { exit 0 }
    if ($found -match 'SecretNotFound') { break }
    if ($found -match 'ForbiddenByConnection|ForbiddenByFirewall') {
        [Console]::Error.WriteLine('The vault cannot be reached from here. Set OPERATOR_IP_ADDRESS to the address of this machine')
        [Console]::Error.WriteLine('(azd env set OPERATOR_IP_ADDRESS ...), or run this within the network.')
        exit 1
    }
    if ($found -match 'az login') { Skip-StateKey 'Nobody is signed in to az (az login)' }
    if ($found -notmatch 'ForbiddenByRbac|Caller is not authorized') {
        [Console]::Error.WriteLine($found)
        [Console]::Error.WriteLine('Whether the vault has a state key could not be seen. Run this again once az can read it.')
        exit 1
    }
    if ($tries -ge 20) {
        [Console]::Error.WriteLine($found)
        [Console]::Error.WriteLine('The vault could not be read for five minutes. Who deploys needs the role Key Vault Secrets Officer.')
        exit 1
    }
    Start-Sleep -Seconds 15
}

$bytes = [byte[]]::new(32)
[System.Security.Cryptography.RandomNumberGenerator]::Fill($bytes)
$key = [System.IO.Path]::GetTempFileName()
try {
    [System.IO.File]::WriteAllText($key, [Convert]::ToBase64String($bytes))
    az keyvault secret set --vault-name $env:AZURE_KEY_VAULT_NAME --name STATE-KEY --file $key --output none
    if ($LASTEXITCODE -ne 0) { exit 1 }
}
finally {
    Remove-Item -Force $key
}
Write-Output "Made the state key in the vault $env:AZURE_KEY_VAULT_NAME."

# The app has looked for the key already, and would not look again before tomorrow.
$site = "/subscriptions/$env:AZURE_SUBSCRIPTION_ID/resourceGroups/$env:AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$env:AZURE_FUNCTION_NAME"
az rest --method post --url "$site/config/configreferences/appsettings/refresh?api-version=2022-03-01" --output none
if ($LASTEXITCODE -ne 0) { Write-Output 'The app was not told of it: restart it (az functionapp restart).' }
exit 0
