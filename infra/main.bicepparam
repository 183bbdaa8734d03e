// For those who deploy without azd: az deployment sub create --parameters infra/main.bicepparam
using 'main.bicep'

param environmentName = 'invoke'
param location = 'westeurope'

// Who may write secrets into the vault: az ad signed-in-user show --query id --output tsv
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
