"""Is what MLflow runs when it loads a bundle that m5model.releases.pyfunc saved."""

from mlflow.models import set_model

from m5model.releases.pyfunc import BundleModel

set_model(BundleModel())
