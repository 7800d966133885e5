from django.urls import path

from modelhub.views import (
    ablation,
    artifacts,
    benchmarks,
    compare,
    datasets,
    generate,
    generations,
    leaderboard,
    models,
    registration,
    runs,
)

app_name = "modelhub"
urlpatterns = [
    path("models/", models.model_list, name="model_list"),
    path("models/register/", registration.model_register, name="model_register"),
    path("models/<uuid:public_id>/", models.model_detail, name="model_detail"),
    path("runs/generate/", generate.generate, name="generate"),
    path("generations/<uuid:public_id>/", generations.generation_detail, name="generation_detail"),
    path("runs/", runs.run_list, name="run_list"),
    path("runs/<uuid:public_id>/", runs.run_detail, name="run_detail"),
    path("runs/<uuid:public_id>/cancel/", runs.run_cancel, name="run_cancel"),
    path("runs/<uuid:public_id>/retry/", runs.run_retry, name="run_retry"),
    path("dermcot/", datasets.dermcot, name="dermcot"),
    path("datasets/freeze/", datasets.dataset_freeze, name="dataset_freeze"),
    path("datasets/<uuid:public_id>/", datasets.dataset_detail, name="dataset_detail"),
    path("datasets/<uuid:public_id>/export/", datasets.dataset_export, name="dataset_export"),
    path("datasets/<uuid:public_id>/retrain/", datasets.retrain, name="retrain"),
    path("dermbench/", benchmarks.dermbench, name="dermbench"),
    path("dermbench/start/", benchmarks.benchmark_start, name="benchmark_start"),
    path("dermbench/runs/<uuid:public_id>/", benchmarks.benchmark_detail, name="benchmark_detail"),
    path("dermbench/runs/<uuid:public_id>/records.csv", benchmarks.benchmark_records, name="benchmark_records"),
    path("leaderboard/", leaderboard.leaderboard, name="leaderboard"),
    path("leaderboard/<uuid:public_id>/figures.csv", leaderboard.leaderboard_csv, name="leaderboard_csv"),
    path("dermbench/ablation/", ablation.ablation, name="ablation"),
    path("compare/", compare.compare, name="compare"),
    path("artifacts/<uuid:public_id>/", artifacts.artifact, name="artifact"),
]
