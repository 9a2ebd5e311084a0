# Makes a Slipway bundle of an ESP-IDF build folder and pushes it. Works with Windows PowerShell 5 and PowerShell 7.
#   Invoke-WebRequest @BASE_URL@/api/pipeline/upload.ps1 -OutFile upload.ps1
#   $env:SLIPWAY_TOKEN = '…'; .\upload.ps1 -Model MODEL_CODE [-Project FOLDER] [-Url ADDRESS] [-Replace]
param(
  [Parameter(Mandatory = $true)][string]$Model,
  [string]$Project = '.',
  [string]$Url = '@BASE_URL@',
  [switch]$Replace
)
$ErrorActionPreference = 'Stop'
if (-not $env:SLIPWAY_TOKEN) { throw 'set SLIPWAY_TOKEN to a token with the role pipeline' }

$build = Join-Path $Project 'build'
$description = Join-Path $build 'project_description.json'
if (-not (Test-Path $description)) { throw "$build is no ESP-IDF build folder: run idf.py build first" }
$project_description = Get-Content -Raw $description | ConvertFrom-Json
$name = $project_description.project_name

$idf = ''
$line = Get-Content (Join-Path $Project 'sdkconfig') | Select-String '\(ESP-IDF\) (.*) Project Configuration' | Select-Object -First 1
if ($line) { $idf = $line.Matches[0].Groups[1].Value }
$commit = 'unknown'
try { $commit = (git -C $Project rev-parse HEAD) } catch { }

$work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
New-Item -ItemType Directory $work | Out-Null
try {
  foreach ($kind in 'bin', 'elf', 'map') { Copy-Item (Join-Path $build "$name.$kind") (Join-Path $work "$Model.$kind") }
  Copy-Item (Join-Path $Project 'sdkconfig') (Join-Path $work 'sdkconfig')
  $versions = @{ git_commit = "$commit"; idf_version = "$idf"; firmware_version = "$($project_description.project_version)" } | ConvertTo-Json
  [IO.File]::WriteAllText((Join-Path $work 'version.json'), $versions)
  $zip = Join-Path $work 'bundle.zip'
  Add-Type -AssemblyName System.IO.Compression.FileSystem
  $archive = [IO.Compression.ZipFile]::Open($zip, 'Create')
  foreach ($file in "$Model.bin", "$Model.elf", "$Model.map", 'sdkconfig', 'version.json') {
    [IO.Compression.ZipFileExtensions]::CreateEntryFromFile($archive, (Join-Path $work $file), $file) | Out-Null
  }
  $archive.Dispose()
  $address = "$Url/api/pipeline/models/$Model/firmware"
  if ($Replace) { $address += '?replace=true' }
  Invoke-RestMethod -Method Post -Uri $address -InFile $zip -ContentType 'application/zip' -Headers @{ Authorization = "Bearer $env:SLIPWAY_TOKEN" }
} finally {
  Remove-Item -Recurse -Force $work
}
