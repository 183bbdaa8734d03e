// The parameters of a deployment to a subscription: azd takes this file before main.parameters.json,
// and az takes it as: az deployment sub create --parameters infra/main.bicepparam
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')

// Who may write secrets into the vault; azd fills it in.
// By hand: az ad signed-in-user show --query id --output tsv
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')
param authClientId = readEnvironmentVariable('AUTH_CLIENT_ID', '')
param authTenantId = readEnvironmentVariable('AUTH_TENANT_ID', '')
param keepPreviousStateKey = bool(readEnvironmentVariable('KEEP_PREVIOUS_STATE_KEY', 'false'))
param operatorIpAddress = readEnvironmentVariable('OPERATOR_IP_ADDRESS', '')
param publicBaseUrl = readEnvironmentVariable('PUBLIC_BASE_URL', '')
param vaultPurgeProtection = bool(readEnvironmentVariable('VAULT_PURGE_PROTECTION', 'false'))
param vnetEnabled = bool(readEnvironmentVariable('VNET_ENABLED', 'false'))

// What connections refer to: name of the setting, name of the secret in the vault.
param secretSettings = {}

// Further settings of the service, as texts; no secrets.
param appSettings = {}
